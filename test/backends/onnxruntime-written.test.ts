import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import type { Resident } from '../../src/core/backend.ts';
import type { Graph, Node } from '../../src/core/graph.ts';
import { elementCount, float32, type Tensor, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { anchors, executed } from '../../src/transform/order.ts';
import { shuffled } from '../transform/orders.ts';
import { workplace } from './artifact.ts';
import { counter } from './contract-graphs.ts';

const cpu = onnxruntime('cpu');
const files = workplace();
const MB = 2 ** 20;

/** Most memory that the process has held since it was last asked, in MB. */
function highWater(): number {
  const kB = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
  writeFileSync('/proc/self/clear_refs', '5');
  return kB / 1024;
}

/** state' = state + step, and its sum. */
function wide(elements: number): Graph {
  const b = new GraphBuilder('wide');
  const state = b.input('state', 'float32', [elements]);
  const next = b.add(state, b.input('step', 'float32', []));
  b.output('next', next);
  b.output('total', b.reduceSum(next, [0]));
  return b.build();
}

/** Up to 14 nodes of one or two operands each over what is there, some of whose results are read by nothing but the caller. */
const graphs = fc
  .array(fc.tuple(fc.constantFrom('Neg', 'Abs', 'Add', 'Mul', 'Sub'), fc.nat(), fc.nat()), {
    minLength: 2,
    maxLength: 14,
  })
  .map((picks): Graph => {
    const names = ['x'];
    const nodes = picks.map(([op, a, b], i): Node => {
      const unary = op === 'Neg' || op === 'Abs';
      const inputs = [a, ...(unary ? [] : [b])].map((n) => names[n % names.length]!);
      names.push(`v${i}`);
      return { op, name: `n${i}`, inputs, outputs: [`v${i}`], attrs: {} };
    });
    const read = new Set(nodes.flatMap((n) => n.inputs));
    const info = (name: string) => ({ name, dtype: 'float32', shape: [3] }) as const;
    return {
      ...{ name: 'random', opset: { '': 17 }, inputs: [info('x')], params: [], nodes },
      outputs: names.filter((n) => !read.has(n) && n !== 'x').map(info),
    };
  });

describe('a session of onnxruntime on the CPU that writes results where they stay', () => {
  it('takes 20 steps over a state of 64 MB without copying it or holding more memory', async () => {
    const elements = 16 * MB;
    const session = await cpu.openResident!(
      await files.write(wide(elements)),
      { precision: 'fp32', threads: 1 },
      ['next'],
    );
    const data = new Float32Array(elements).fill(1);
    let state: Resident = await session.put({ dtype: 'float32', shape: [elements], data });
    const step = float32([], [0.5]);
    const one = async () => {
      const { kept } = await session.run({ state, step }, undefined, { next: state });
      state = kept.next!;
    };
    await one();
    highWater();
    const { rss, arrayBuffers } = process.memoryUsage();
    for (let i = 0; i < 20; i++) await one();
    expect(process.memoryUsage().arrayBuffers - arrayBuffers).toBeLessThan(1 * MB);
    expect(highWater() - rss / MB).toBeLessThan(16);
    // The caller's own array all along.
    const read = await session.read(state);
    expect(read.data).toBe(data);
    expect([data[0], data[elements - 1]]).toEqual([11.5, 11.5]);
    await session.close();
  });

  it('refuses what is donated in another shape', async () => {
    const session = await cpu.openResident!(await files.write(counter(2)), { precision: 'fp32' }, ['next']);
    const state = await session.put(float32([2, 4], new Array(8).fill(0)));
    const wrong = await session.put(float32([8], new Array(8).fill(0)));
    const run = session.run({ state, step: float32([1], [1]) }, undefined, { next: wrong });
    await expect(run).rejects.toThrow(/donated to 'next' is float32 \[8\], not float32 \[2,4\]/);
    await session.close();
  });

  it('runs nodes in the order in which they are written, whatever that is', async () => {
    await fc.assert(
      fc.asyncProperty(graphs, fc.infiniteStream(fc.nat()), async (graph, draws) => {
        const nodes = shuffled(graph.nodes, draws);
        const keep = [graph.outputs[0]!.name];
        const artifact = await files.write({ ...graph, nodes });
        const open = { precision: 'fp32', prove: true, optimisation: 'disabled' } as const;
        const x = float32([3], [1, -2, 3]);
        const session = await cpu.openResident!(artifact, open, keep);
        const { host, kept } = await session.run({ x });
        const found: Tensors = { ...host };
        for (const [name, resident] of Object.entries(kept)) found[name] = await session.read(resident);
        const ran = (await session.profile!())!.map((t) => t.name);
        await session.close();
        expect(ran).toEqual(nodes.map((n) => n.name));

        const plain = await cpu.open(artifact, open);
        const wanted = await plain.run({ x });
        const order = (await plain.profile!())!.map((t) => t.name);
        await plain.close();
        expect(order).toEqual(executed(nodes).map((n) => n.name));
        const numbers = (t: Tensor) => [elementCount(t.shape), ...toNumbers(t)];
        for (const { name } of graph.outputs) expect(numbers(found[name]!)).toEqual(numbers(wanted[name]!));
      }),
      { numRuns: 15 },
    );
  });

  it('adds a reader of few results', () => {
    fc.assert(
      fc.property(graphs, fc.infiniteStream(fc.nat()), (graph, draws) => {
        const nodes = shuffled(graph.nodes, draws);
        const roots = anchors(nodes);
        const last: Node = {
          ...{ op: 'Concat', name: 'last', outputs: ['last'], attrs: {} },
          inputs: roots.map((n) => n.outputs[0]!),
        };
        expect(executed([...nodes, last].reverse())).toEqual([...nodes, last]);
        // What runs in this order anyway needs no reader but of what nothing else reads.
        const own = executed([...nodes].reverse());
        const read = new Set(nodes.flatMap((n) => n.inputs));
        const ends = anchors(own);
        if (ends.every((n) => !read.has(n.outputs[0]!)))
          expect(ends.length).toBe(nodes.filter((n) => !read.has(n.outputs[0]!)).length);
      }),
    );
  });
});
