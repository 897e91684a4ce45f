import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { download } from '../../src/backends/tfjs/download.ts';
import { type EngineName, loadEngine, using } from '../../src/backends/tfjs/engine.ts';
import { Executor } from '../../src/backends/tfjs/executor.ts';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import { dispose } from '../../src/backends/tfjs/value.ts';
import { VersusError } from '../../src/core/errors.ts';
import type { Graph, Node, Param } from '../../src/core/graph.ts';
import { float32, type Tensors } from '../../src/core/tensor.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { filled, type OperatorCase, operatorCase } from '../graph/operator-cases.ts';
import { difference, runInterpreter, runOnnxruntime } from '../graph/operator-run.ts';
import { SPATIAL } from './spatial-cases.ts';
import { runOn } from './tfjs-operators.ts';

/** The same cases in every run; other seeds and more runs find more: `PROPERTY_SEED=7 PROPERTY_RUNS=500 npx vitest …`. */
const SEED = Number(process.env.PROPERTY_SEED ?? 1);
const RUNS = Number(process.env.PROPERTY_RUNS ?? 0);

/** How a case is laid out: the order in which the data lie, and whether weights are the graph's or fed. */
const layout = fc.record({ turn: fc.nat(), isFixed: fc.boolean() });
type Layout = typeof layout extends fc.Arbitrary<infer T> ? T : never;

function permutationOf(rank: number, turn: number): number[] {
  const rest = Array.from({ length: rank }, (_, i) => i);
  let left = turn;
  return Array.from({ length: rank }, () => {
    const [axis] = rest.splice(left % rest.length, 1);
    left = Math.floor(left / (rest.length + 1));
    return axis!;
  });
}

/** The case behind a Transpose, which leaves the data where they lie. */
function graphOf(c: OperatorCase, { turn, isFixed }: Layout): { graph: Graph; feeds: Tensors } {
  const inputs: Graph['inputs'][number][] = [];
  const params: Param[] = [];
  const feeds: Tensors = {};
  const nodes: Node[] = [];
  const names = c.inputs.map((t, i) => (t ? `in${i}` : ''));
  c.inputs.forEach((t, i) => {
    if (!t) return;
    const name = names[i]!;
    if (i === 0) {
      const perm = permutationOf(t.shape.length, turn);
      const shape = new Array<number>(perm.length);
      perm.forEach((axis, at) => {
        shape[axis] = t.shape[at]!;
      });
      feeds[name] = { ...t, shape };
      inputs.push({ name, dtype: t.dtype, shape });
      nodes.push({ op: 'Transpose', name: 'turn', inputs: [name], outputs: ['x'], attrs: { perm } });
    } else if (isFixed || c.fixed.includes(i)) {
      params.push({ name, dtype: t.dtype, shape: t.shape, role: 'constant', data: t.data });
    } else {
      feeds[name] = t;
      inputs.push({ name, dtype: t.dtype, shape: t.shape });
    }
  });
  const outputs = Array.from({ length: c.outputs }, (_, i) => `out${i}`);
  nodes.push({
    op: c.op,
    name: 'it',
    inputs: ['x', ...names.slice(1)],
    outputs,
    attrs: c.attrs,
    floats: c.floats,
    ...(c.domain && { domain: c.domain }),
  });
  return {
    graph: {
      name: c.op,
      opset: { '': c.opset },
      inputs,
      params,
      outputs: outputs.map((name) => ({ name, dtype: 'float32', shape: [] })),
      nodes,
    },
    feeds,
  };
}

/** Runs twice, the second time with what the first one kept. */
async function onEngine(name: EngineName, graph: Graph, feeds: Tensors): Promise<Tensors[]> {
  const engine = await loadEngine(name);
  return using(engine, async () => {
    const before = engine.tf.memory().numTensors;
    const read = async (p: Param) => ({ dtype: p.dtype, shape: p.shape, data: p.data! });
    const executor = await Executor.load(graph, { read }, engine, false);
    const runs: Tensors[] = [];
    try {
      for (let i = 0; i < 2; i++) {
        const values = await executor.run(
          feeds,
          graph.outputs.map((o) => o.name),
        );
        const results: Tensors = {};
        for (const [output, value] of values) {
          results[output] = await download(engine, value);
          dispose(value);
        }
        runs.push(results);
      }
      return runs;
    } finally {
      executor.close();
      expect(engine.tf.memory().numTensors).toBe(before);
    }
  });
}

const attempt = async <T>(body: () => T | Promise<T>): Promise<T | VersusError> => {
  try {
    return await body();
  } catch (error) {
    if (error instanceof VersusError) return error;
    throw error;
  }
};

const RUNS_ON: readonly (readonly [EngineName, number])[] = [
  ['wasm', 40],
  ['cpu', 20],
  ['webgpu', 3],
];

for (const [name, runs] of RUNS_ON) {
  const availability = await tfjs(name).probe();
  const suite = availability.available ? describe : describe.skip;
  const reason = availability.available ? '' : ` (skipped: ${availability.reason})`;
  suite(`tfjs-${name} and the interpreter agree, whatever the order of axes${reason}, on`, () => {
    it.each(Object.entries(SPATIAL))('%s', async (_op, cases) => {
      await fc.assert(
        fc.asyncProperty(cases, layout, async (c, l) => {
          const { graph, feeds } = graphOf(c, l);
          const expected = await attempt(() => interpret(graph, {}, feeds));
          const got = await attempt(() => onEngine(name, graph, feeds));
          if (expected instanceof VersusError) {
            expect(got).toBeInstanceOf(VersusError);
            expect((got as VersusError).kind).toBe(expected.kind);
            return;
          }
          if (got instanceof VersusError) throw got;
          for (const result of got) expect(difference(result, expected, c.tolerance)).toBeNull();
        }),
        { numRuns: RUNS || runs, seed: SEED },
      );
    });
  });
}

describe('what the interpreter lacks', () => {
  const image = filled([2, 3, 4, 5], 7);

  it('GridSample is that of onnxruntime', async () => {
    const engine = await loadEngine('wasm');
    for (const mode of ['bilinear', 'nearest', 'bicubic']) {
      for (const padding_mode of ['zeros', 'border', 'reflection']) {
        for (const align_corners of [0, 1]) {
          const c = operatorCase('GridSample', {
            inputs: [image, filled([2, 3, 4, 2], 11, -1.6, 1.6)],
            attrs: { mode, padding_mode, align_corners },
            opset: 16,
            tolerance: 1e-4,
          });
          const expected = await runOnnxruntime(c, { out0: float32([2, 3, 3, 4], new Array(72).fill(0)) });
          expect(difference(await runOn(engine, c, 'turned'), expected, c.tolerance)).toBeNull();
        }
      }
    }
  });

  it('Upsample is Resize with asymmetric places', async () => {
    const engine = await loadEngine('wasm');
    const scales = float32([4], [1, 1, 2, 3.5]);
    for (const mode of ['nearest', 'linear']) {
      const attrs = { mode, coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
      const resize = operatorCase('Resize', { inputs: [image, null, scales], attrs, opset: 13 });
      const expected = runInterpreter(resize);
      const given = operatorCase('Upsample', {
        inputs: [image, scales],
        attrs: { mode },
        fixed: [1],
        opset: 9,
      });
      const listed = operatorCase('Upsample', {
        inputs: [image],
        attrs: { mode, scales: [1, 1, 2, 3.5] },
        floats: ['scales'],
        opset: 7,
      });
      for (const c of [given, listed])
        expect(difference(await runOn(engine, c, 'turned'), expected, 1e-4)).toBeNull();
    }
  });
});
