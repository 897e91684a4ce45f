import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import type { Graph, Node, ValueInfo } from '../../src/core/graph.ts';
import { float32, type Tensors } from '../../src/core/tensor.ts';
import { bisect } from '../../src/verify/bisect.ts';
import { bisectFolder, bisectModel } from '../../src/verify/where.ts';
import { model } from '../../src/zoo/index.ts';
import { workplace } from '../backends/artifact.ts';
import { oneThread } from '../one-thread.ts';
import { faulty } from './faulty.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');
const files = workplace();
let cacheDir: string;
beforeAll(() => {
  cacheDir = mkdtempSync(join(tmpdir(), 'versus-bisect-'));
});
afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));
const settings = () => ({ cacheDir, precision: 'fp32', tolerance: 1e-3 }) as const;
const asked = () => ({ ...settings(), maxBytes: 1e9, seed: 0, batch: 1, dims: {} });

describe('bisecting a model', () => {
  it('finds the node whose kernel is wrong, and shows that it is this node', async () => {
    const vit = model('vit-tiny');
    const softmax = (await vit.build(vit.config)).model!.nodes.filter((n) => n.op === 'Softmax').at(-1)!;
    const wrong = faulty((n) => n.name === softmax.name, 1.3);
    const [found] = await bisectModel(vit, wrong, oneThread(), asked());
    expect(found).toMatchObject({ graph: 'model', outcome: 'node', backend: 'faulty', level: null });
    expect(found!.node).toMatchObject({
      ...{ name: softmax.name, op: 'Softmax', domain: '', opset: 17, attributes: softmax.attrs },
      inputs: [{ name: softmax.inputs[0], dtype: 'float32', parameter: false }],
      output: { agrees: false },
      alone: { differs: true, output: { agrees: false } },
    });
    expect(found!.node!.output.max_rel).toBeGreaterThan(0.01);
  });

  it('finds the same whatever number of values is held at once', async () => {
    const graph = graphOf(
      ['Exp', 'Tanh', 'Sigmoid', 'Sqrt', 'Atan'].map((op, i) =>
        node(op, [i === 0 ? 'x' : `v${i - 1}`], `v${i}`),
      ),
      'v4',
    );
    const artifact = await files.write(graph);
    const wrong = faulty((n) => n.op === 'Sigmoid', 1.5);
    for (const batchBytes of [1, 40, 1e6]) {
      const found = await bisect(artifact, X, wrong, oneThread(), { ...settings(), batchBytes });
      expect(found).toMatchObject({ outcome: 'node', compared: 3, node: { name: 'make v2', index: 2 } });
    }
  });

  it('looks into every graph', async () => {
    const found = await bisectModel(
      model('clip-tiny'),
      faulty((n) => n.op === 'LayerNormalization', 2),
      oneThread(),
      asked(),
    );
    expect(found.map(({ graph, outcome, node }) => [graph, outcome, node?.op])).toEqual([
      ['similarity', 'agrees', undefined],
      ['text', 'node', 'LayerNormalization'],
      ['vision', 'node', 'LayerNormalization'],
    ]);
  });

  it('agrees where there is nothing to find, and leaves nothing behind', async () => {
    const [found] = await bisectModel(model('vit-tiny'), oneThread(), reference, asked());
    expect(found).toMatchObject({ outcome: 'agrees', node: null });
    expect(readdirSync(cacheDir).filter((name) => name.startsWith('.building'))).toEqual([]);
  });
});

describe('bisecting a recorded folder', () => {
  it('feeds what the recording led to: prompt and steps of a decoder', async () => {
    const dir = join(FIXTURES, 'hf-llava');
    const wrong = faulty((n) => n.op === 'Softmax', 1.2);
    const found = await bisectFolder(dir, wrong, reference, { ...settings(), maxBytes: 1e9 });
    expect(found.map((f) => [f.graph, f.outcome, f.node?.op ?? null])).toEqual([
      ['vision', 'node', 'Softmax'],
      ['embed', 'agrees', null],
      ['decoder', 'node', 'Softmax'],
    ]);
  });

  it('reads the weights of an .onnx file where they lie', async () => {
    const dir = join(FIXTURES, 'onnx-resnet');
    const before = statSync(join(dir, 'model.onnx'));
    const convolutions: string[] = [];
    const wrong = faulty((n) => {
      if (n.op === 'Conv' && !convolutions.includes(n.name)) convolutions.push(n.name);
      return n.op === 'Conv' && n.name === convolutions[3];
    }, 0.9);
    const [found] = await bisectFolder(dir, wrong, oneThread(), { ...settings(), maxBytes: 1e9 });
    expect(found).toMatchObject({ outcome: 'node', node: { op: 'Conv', alone: { differs: true } } });
    expect(found!.node!.inputs.filter((i) => i.parameter).length).toBeGreaterThan(0);
    expect(statSync(join(dir, 'model.onnx'))).toMatchObject({ size: before.size, mtimeMs: before.mtimeMs });
    expect(existsSync(join(dir, 'model.onnx'))).toBe(true);
  });
});

const value = (name: string, shape: readonly number[] = [4]): ValueInfo => ({
  name,
  dtype: 'float32',
  shape,
});
const node = (op: string, inputs: string[], output: string): Node => ({
  ...{ op, name: `make ${output}`, inputs, outputs: [output], attrs: {} },
});

function graphOf(nodes: readonly Node[], output: string): Graph {
  return { name: 'g', opset: { '': 17 }, inputs: [value('x')], outputs: [value(output)], params: [], nodes };
}
const X: Tensors = { x: float32([4], [0.5, 1, 2, 3]) };

describe('bisecting small graphs', () => {
  const run = async (graph: Graph, wrong = oneThread(), feeds = X, against = reference) =>
    bisect(await files.write(graph), feeds, wrong, against, settings());

  it('names the node that is wrong, wherever it is in a graph', async () => {
    const step = fc.record({ op: fc.constantFrom('Tanh', 'Sigmoid', 'Add'), a: fc.nat(), b: fc.nat() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), fc.nat(), async (steps, at) => {
        const names = ['x', ...steps.map((_, i) => `v${i}`)];
        const nodes = steps.map(({ op, a, b }, i) => {
          const of = (n: number) => names[n % (i + 1)]!;
          return node(op, op === 'Add' ? [of(a), of(b)] : [of(a)], `v${i}`);
        });
        const last = steps.length - 1;
        const graph = graphOf([...nodes, node('Add', [`v${last}`, `v${at % steps.length}`], 'y')], 'y');
        const guilty = graph.nodes[at % steps.length]!;
        // Everything is positive, so 1.7 times a result is another one, and what is added to the output shows there.
        const found = await run(
          graph,
          faulty((n) => n.name === guilty.name, 1.7),
        );
        expect(found).toMatchObject({
          outcome: 'node',
          node: { name: guilty.name, alone: { differs: true } },
        });
      }),
      { numRuns: 40 },
    );
  });

  it('tells a fault that only optimisation brings about, and where the fusion ends', async () => {
    // Two branches of products with sums behind them; the fault is in the shorter, and what follows it is wrong as well.
    const chain = (stem: string, from: string, length: number): Node[] =>
      Array.from({ length }, (_, i) => {
        const before = i === 0 ? from : `${stem}${i - 1}`;
        return [
          node('Mul', [before, 'x'], `${stem}${i}x`),
          node('Add', [`${stem}${i}x`, 'x'], `${stem}${i}`),
        ];
      }).flat();
    const graph = graphOf(
      [
        ...chain('a', 'x', 3),
        ...chain('b', 'x', 12),
        node('Tanh', ['b11'], 't'),
        node('Sub', ['a2', 't'], 'y'),
      ],
      'y',
    );
    for (const at of ['a1', 'b2']) {
      const wrong = faulty((n) => n.name === `make ${at}x`, -0.5, true);
      const found = await run(graph, wrong);
      expect(found).toMatchObject({
        outcome: 'fusion',
        level: 'basic',
        node: { name: `make ${at}`, op: 'Add' },
      });
      expect(found.node!.alone).toMatchObject({ differs: false });
    }
  });

  it('passes over infinities that both have', async () => {
    const graph = graphOf(
      [
        node('Sub', ['x', 'x'], 'zero'),
        node('Log', ['zero'], 'minus infinity'),
        node('Exp', ['minus infinity'], 'zero again'),
        node('Tanh', ['x'], 'right'),
        node('Add', ['right', 'zero again'], 'y'),
      ],
      'y',
    );
    const found = await run(
      graph,
      faulty((n) => n.op === 'Tanh', 1.7),
    );
    expect(found).toMatchObject({ outcome: 'node', node: { name: 'make right' }, compared: 4 });
  });

  it('tells accumulated error from a node that is wrong itself', async () => {
    // 0.04 % passes; twice squared it is four times that.
    const graph = graphOf(
      [
        node('Exp', ['x'], 'e'),
        node('Mul', ['e', 'e'], 'ee'),
        node('Mul', ['ee', 'ee'], 'eeee'),
        node('Mul', ['eeee', 'eeee'], 'y'),
      ],
      'y',
    );
    const found = await run(
      graph,
      faulty((n) => n.op === 'Exp', 1.0004),
    );
    expect(found).toMatchObject({ outcome: 'node', node: { name: 'make eeee' } });
    expect(found.node!.alone).toMatchObject({ differs: false });
  });

  it('names where the reference itself becomes NaN when both agree on that', async () => {
    const graph = graphOf(
      [node('Neg', ['x'], 'n'), node('Sqrt', ['n'], 'r'), node('Add', ['r', 'x'], 'y')],
      'y',
    );
    expect(await run(graph)).toMatchObject({
      outcome: 'not-finite',
      node: { name: 'make r', op: 'Sqrt', output: { problem: 'NaN at element 0' } },
    });
  });

  it('exposes results of operators whose types the table lacks', async () => {
    const own = { domain: 'com.microsoft' };
    const graph: Graph = {
      ...graphOf([], 'y'),
      opset: { '': 17, 'com.microsoft': 1 },
      nodes: [
        { ...node('FastGelu', ['x'], 'gelu'), ...own },
        node('Shape', ['gelu'], 'shape'),
        { ...node('QuickGelu', ['gelu'], 'quick'), ...own },
        node('Mul', ['quick', 'gelu'], 'y'),
      ],
    };
    const lying = oneThread();
    const wrong: typeof lying = {
      ...lying,
      name: 'lying',
      async open(artifact, options) {
        const session = await lying.open(artifact, options);
        const run: typeof session.run = async (feeds, fetch) => {
          const outputs = await session.run(feeds, fetch);
          for (const name of ['quick', 'y']) (outputs[name]?.data as Float32Array | undefined)?.fill(9);
          return outputs;
        };
        return { ...session, run };
      },
    };
    const found = await run(graph, wrong, X, oneThread());
    expect(found).toMatchObject({
      outcome: 'node',
      node: { name: 'make quick', op: 'QuickGelu', domain: 'com.microsoft', opset: 1 },
      compared: 3,
    });
  });
});
