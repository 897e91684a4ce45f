import { afterAll, describe, expect, it } from 'vitest';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import { feedsOf, sizesOf } from '../../src/commands/profile-feeds.ts';
import type { Backend, NodeTime } from '../../src/core/backend.ts';
import type { Graph } from '../../src/core/graph.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { graphCost } from '../../src/graph/cost.ts';
import { worksOf } from '../../src/profile/costs.ts';
import { membersOf } from '../../src/profile/members.ts';
import { median, nodeRows, operatorRows } from '../../src/profile/rows.ts';
import { prepareArtifacts } from '../../src/weights/index.ts';
import { model } from '../../src/zoo/index.ts';
import { cleanUp, scratch } from '../workloads/harness.ts';

afterAll(cleanUp);

const time = (name: string, op: string, more: Partial<NodeTime> = {}): NodeTime => ({
  ...{ name, op, device: 'here', ms: [1], inputs: [], outputs: [], ...more },
});

/** x → conv a → batch norm → relu; conv b → + relu → relu: two convolutions of which the second ends in a residual. */
function block(): Graph {
  const b = new GraphBuilder('block');
  const x = b.input('x', 'float32', ['n', 4, 8, 8]);
  const weight = (name: string) => b.param(name, [4, 4, 3, 3], { kind: 'uniform', std: 1 });
  const ones = (name: string) => b.param(name, [4], { kind: 'constant', value: 1 });
  const a = b.conv(x, weight('a'), null, { pads: [1, 1, 1, 1] });
  const norm = b.batchNorm(a, ones('g'), ones('c'), ones('m'), ones('v'), 1e-5);
  const first = b.relu(norm);
  const second = b.conv(first, weight('b'), null, { pads: [1, 1, 1, 1] });
  b.output('y', b.relu(b.add(second, first)));
  return b.build();
}

const graph = block();
const at = (op: string, nth = 0) => graph.nodes.flatMap((node, i) => (node.op === op ? [i] : []))[nth]!;
const name = (op: string, nth = 0) => graph.nodes[at(op, nth)]!.name;
const CONV = 4 * 8 * 8 * 4 * 9;

describe('which nodes ran as one', () => {
  it('is what the backend says, before any name', () => {
    const both = [name('Conv'), name('Relu')];
    expect(membersOf(graph, [time(name('Add'), 'Whatever', { of: both })])).toEqual([
      [at('Conv'), at('Relu')],
    ]);
    expect(membersOf(graph, [time('x', 'Conv', { of: ['gone'] })])).toEqual([null]);
  });

  it('is found by names that a runtime decorated, of nodes and of values', () => {
    const value = graph.nodes[at('Conv')]!.outputs[0]!;
    for (const called of [
      `${name('Conv')}_nchwc`,
      `fused ${name('Conv')}`,
      `${name('Conv')}_token_3`,
      value,
    ]) {
      expect(membersOf(graph, [time(called, 'Conv')])).toEqual([[at('Conv')]]);
    }
    expect(membersOf(graph, [time('Nothing', 'Conv'), time('', 'Conv')])).toEqual([null, null]);
  });

  it('goes from an activation back to what it was fused with, and not beyond what ran by itself', () => {
    const times = [time(`${name('Relu')}_nchwc`, 'Conv'), time(`${name('Relu', 1)}_nchwc`, 'FusedConv')];
    expect(membersOf(graph, times)).toEqual([
      [at('Conv'), at('BatchNormalization'), at('Relu')],
      [at('Conv', 1), at('Add'), at('Relu', 1)],
    ]);
    // Without the first node one cannot know which of the two convolutions it is.
    expect(membersOf(graph, [times[1]!])).toEqual([null]);
    expect(membersOf(graph, [time(name('Relu'), 'Attention')])).toEqual([null]);
  });

  it('is unknown under a name that two nodes have', () => {
    const twins = { ...graph, nodes: graph.nodes.map((node) => ({ ...node, name: 'same' })) };
    expect(membersOf(twins, [time('same', 'Conv')])).toEqual([null]);
  });
});

describe('the work of what ran', () => {
  it('is that of its nodes; a folded normalisation computes nothing', () => {
    const [first, second] = worksOf(graph, { n: 1 }, [
      time(name('Relu'), 'Conv'),
      time(name('Relu', 1), 'FusedConv', { bytes: 1 }),
    ]);
    expect([first!.macs, second!.macs]).toEqual([CONV, CONV]);
    const image = 4 * 8 * 8 * 4;
    const weight = 4 * 4 * 9 * 4;
    // What the second reads, its residual too, is what the first hands on.
    expect(second!.bytes).toBe(2 * image + weight);
    expect(first!.bytes).toBe(2 * image + weight + 4 * 16);
  });

  it('is unknown where two claim one node, where results are smaller than the graph says, and of what a runtime invented', () => {
    const twice = [time(name('Conv'), 'Conv'), time(`fused ${name('Conv')}`, 'FusedConv')];
    const small = time(name('Conv', 1), 'Conv', { outputs: [[1, 4, 4, 4]] });
    const invented = time('Attention_7', 'Attention', { outputs: [[1, 2]] });
    const works = worksOf(graph, { n: 1 }, [...twice, small, invented]);
    expect(works.map(({ macs }) => macs)).toEqual([null, null, null, null]);
  });

  it('is nothing for layouts and activations, and five per element for a fused normalisation', () => {
    const works = worksOf(graph, { n: 1 }, [
      time('ReorderInput', 'ReorderInput', { bytes: 64 }),
      time('Gelu_2', 'Gelu', { bytes: 32 }),
      time('SkipLayerNormalization', 'SkipLayerNormalization', { outputs: [[2, 3]], bytes: 8 }),
    ]);
    expect(works).toEqual([
      { macs: 0, bytes: 64 },
      { macs: 0, bytes: 32 },
      { macs: 30, bytes: 8 },
    ]);
  });

  const runs = (backend: Backend, ...models: string[]) =>
    models.map((named) => [named, backend.name, backend] as const);
  it.each([
    ...runs(onnxruntime('cpu'), 'resnet-tiny', 'convnext-tiny', 'qwen2-tiny', 'clip-rn-tiny', 'davit-tiny'),
    ...runs(tfjs('wasm'), 'resnet-tiny', 'vit-tiny', 'swin-tiny', 'qwen2-tiny'),
  ])('adds up to the graph’s of %s, whatever %s fused', async (named, _, backend) => {
    const subject = model(named);
    const artifacts = await prepareArtifacts(subject, {
      ...{ cacheDir: `${scratch}/cache`, maxBytes: 1e9, precision: 'fp32' },
    });
    const artifact = artifacts.model ?? artifacts.vision!;
    const given = await artifact.graph();
    const dims = sizesOf(given.inputs, {}, subject.dims ?? {}, 2);
    const session = await backend.open(artifact, { precision: 'fp32', prove: true });
    await session.run(feedsOf(given, dims, 0));
    const works = worksOf(given, dims, (await session.profile!())!);
    await session.close();
    const norms = { ...given, nodes: given.nodes.filter((node) => node.op !== 'BatchNormalization') };
    const folded = given.nodes.length === norms.nodes.length ? 0 : normsOf(given, dims);
    const found = works.reduce<number | null>(
      (s, w) => (s === null || w.macs === null ? null : s + w.macs),
      0,
    );
    expect(found).toBe(graphCost(given, dims).macs - folded);
  });
});

/** MACs of the batch normalisations: their outputs' elements, twice. */
function normsOf(graph: Graph, dims: Readonly<Record<string, number>>): number {
  const works = worksOf(
    graph,
    dims,
    graph.nodes.filter((node) => node.op === 'BatchNormalization').map((node) => time(node.name, node.op)),
  );
  return works.reduce((sum, { macs }) => sum + macs!, 0);
}

describe('rows', () => {
  const times = [
    time('a', 'Conv', { ms: [100, 100, 1, 3, 2] }),
    time('b', 'Conv', { ms: [100, 100, 2, 2, 2] }),
    time('c', 'Shape', { ms: [0, 0, 0, 0, 0], device: 'host' }),
  ];
  const works = [
    { macs: 1e6, bytes: 4e6 },
    { macs: null, bytes: 4e6 },
    { macs: 0, bytes: 0 },
  ];
  const peak = { flops: 2e9, bandwidth: 8e9 };
  const nodes = nodeRows(times, works, peak, 2);

  it('state medians behind the warm-up, rates and shares of the peak', () => {
    expect(nodes.map(({ name: n, ms, share }) => [n, ms, share])).toEqual([
      ['a', 2, 0.5],
      ['b', 2, 0.5],
      ['c', 0, 0],
    ]);
    expect(nodes[0]).toMatchObject({ gflops: 1, gbytes: 2, share_of_flops: 0.5, share_of_bandwidth: 0.25 });
    expect(nodes[2]).toMatchObject({ gflops: null, gbytes: null, devices: ['host'] });
  });

  it('sum operators up, and an unknown part makes the sum unknown', () => {
    const [conv, shape] = operatorRows(nodes, peak);
    expect(conv).toMatchObject({
      operator: 'Conv',
      count: 2,
      ms: 4,
      share: 1,
      macs: null,
      gflops: null,
      gbytes: 2,
    });
    expect(shape).toMatchObject({ operator: 'Shape', count: 1, macs: 0 });
    expect([median([]), median([3]), median([4, 1, 3, 2])]).toEqual([0, 3, 2.5]);
  });
});

describe('what any graph is run on', () => {
  const inputs = [
    { name: 'input_ids', dtype: 'int64', shape: ['n', 'sequence'] },
    { name: 'attention_mask', dtype: 'int64', shape: ['n', 'past+sequence'] },
    { name: 'position_ids', dtype: 'int64', shape: ['n', 'sequence'] },
  ] as const;

  it('has sizes for every dimension, or says which are open', () => {
    expect(sizesOf(inputs, { sequence: 3, past: 2 }, {}, 2)).toEqual({ n: 2, sequence: 3, past: 2 });
    expect(sizesOf(inputs, { past: 0 }, { sequence: 5 }, 1)).toEqual({ n: 1, sequence: 5, past: 0 });
    expect(() => sizesOf(inputs, {}, {}, 1)).toThrow(/dimension sequence, past is open/);
    expect(() => sizesOf(inputs, { width: 2 }, {}, 1)).toThrow(/no dimension width/);
  });

  it('hides nothing, counts up, and stays inside every table', () => {
    const feeds = feedsOf({ inputs }, { n: 2, sequence: 3, past: 1 }, 0);
    expect(feeds.input_ids).toMatchObject({ shape: [2, 3], data: new BigInt64Array(6) });
    expect(feeds.attention_mask).toMatchObject({ shape: [2, 4], data: new BigInt64Array(8).fill(1n) });
    expect(feeds.position_ids!.data).toEqual(BigInt64Array.of(0n, 1n, 2n, 0n, 1n, 2n));
  });
});
