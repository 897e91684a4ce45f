import type * as Tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EngineName, loadEngine, using } from '../../src/backends/tfjs/engine.ts';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import { kernelOf } from '../../src/backends/tfjs/kernels/index.ts';
import { float32 } from '../../src/core/tensor.ts';
import { KERNELS } from '../../src/graph/kernels/index.ts';
import { type OperatorCase, operatorCase, vector } from '../graph/operator-cases.ts';
import { difference, runInterpreter } from '../graph/operator-run.ts';
import { EDGES } from '../graph/operators-edges.ts';
import { ELEMENTWISE } from '../graph/operators-elementwise.ts';
import { LINEAR } from '../graph/operators-linear.ts';
import { MOVEMENT } from '../graph/operators-movement.ts';
import { REDUCE } from '../graph/operators-reduce.ts';
import { ENTRIES, runOn } from './tfjs-operators.ts';

const CASES = { ...ELEMENTWISE, ...LINEAR, ...MOVEMENT, ...REDUCE, ...EDGES };
/** More find more: `PROPERTY_SEED=7 PROPERTY_RUNS=500 npx vitest …`, and with `TFJS_ENGINES=webgpu`. */
const SEED = Number(process.env.PROPERTY_SEED ?? 1);
const RUNS = Number(process.env.PROPERTY_RUNS ?? 5);
const ENGINES = (process.env.TFJS_ENGINES ?? 'wasm,cpu').split(',') as EngineName[];

const agree = async (name: EngineName, cases: fc.Arbitrary<OperatorCase>, numRuns: number) => {
  const engine = await loadEngine(name);
  await fc.assert(
    fc.asyncProperty(cases, fc.constantFrom(...ENTRIES), async (c, entry) => {
      const expected = runInterpreter(c);
      expect(difference(await runOn(engine, c, entry), expected, Math.max(c.tolerance, 1e-5))).toBeNull();
    }),
    { numRuns, seed: SEED },
  );
};

describe.each(ENGINES)('tfjs-%s and the interpreter agree on', (name) => {
  it.each(Object.entries(CASES))('%s', (_name, cases) => agree(name, cases, RUNS));
});

const webgpu = await tfjs('webgpu').probe();
const reason = webgpu.available ? '' : ` (skipped: ${webgpu.reason})`;

describe.skipIf(!webgpu.available)(`tfjs-webgpu, whose shaders take long to compile${reason}`, () => {
  it.each([
    'Acos',
    'Cast of bools',
    'Concat of bools',
    'CumSum',
    'Einsum',
    'Expand of bools',
    'Gather',
    'Hardmax',
    'Max of the unusual',
    'Pad of bools',
    'QuantizeLinear',
    'ReduceLogSumExp of the unusual',
    'ScatterElements add',
    'Slice',
    'TopK of equals',
    'Where of bools',
  ])('agrees with the interpreter on %s', (name) => agree('webgpu', CASES[name]!, 3));

  it('throws when the device refuses a kernel', async () => {
    const engine = await loadEngine('webgpu');
    const { tf } = engine;
    // tfjs's shader for the transposition of whole numbers has a mistake.
    const numbers = (make: () => Tf.Tensor) =>
      using(engine, async () => {
        const made = tf.tidy(make);
        return made.data().finally(() => made.dispose());
      });
    const before = tf.memory().numTensors;
    const wrong = numbers(() => tf.transpose(tf.ones([2, 3, 4], 'int32'), [2, 1, 0]));
    await expect(wrong).rejects.toThrow(/device refuses a kernel/);
    expect([...(await numbers(() => tf.add(tf.ones([2]), 1)))]).toEqual([2, 2]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('the table of tfjs kernels', () => {
  it('has every operator that the interpreter has, but those that only the host computes', () => {
    const missing = Object.keys(KERNELS).filter((op) => !kernelOf({ op }));
    // Whole numbers and bits, and shapes that follow from numbers.
    const onHost =
      'BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Constant ConstantOfShape NonZero Range Shape Size';
    expect(missing.sort()).toEqual(onHost.split(' '));
  });

  const ten = float32([10], new Float32Array(10));
  it.each<[string, OperatorCase]>([
    ['Expand', operatorCase('Expand', { inputs: [ten, vector([2 ** 30, 10])], fixed: [1] })],
    ['Tile', operatorCase('Tile', { inputs: [ten, vector([2 ** 40])], fixed: [1] })],
    ['Pad', operatorCase('Pad', { inputs: [ten, vector([2 ** 31, 0])], fixed: [1] })],
    ['Transpose', operatorCase('Transpose', { inputs: [ten], attrs: { perm: [3] } })],
    ['Reshape', operatorCase('Reshape', { inputs: [ten, vector([3, -1])], fixed: [1] })],
    ['Gather', operatorCase('Gather', { inputs: [ten, vector([10])] })],
    ['Split', operatorCase('Split', { inputs: [ten, vector([3, 3])], fixed: [1], outputs: 2 })],
    ['MatMul', operatorCase('MatMul', { inputs: [float32([2, 5], ten.data as Float32Array), ten] })],
  ])('refuses a %s that nobody can compute, and computes on', async (_op, hostile) => {
    const engine = await loadEngine('wasm');
    await expect(runOn(engine, hostile, 'fed')).rejects.toMatchObject({ kind: 'input' });
    const right = await runOn(engine, operatorCase('Neg', { inputs: [float32([1], [2])] }), 'fed');
    expect(right.out0).toEqual(float32([1], [-2]));
  });
});
