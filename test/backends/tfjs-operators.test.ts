import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EngineName, loadEngine, using } from '../../src/backends/tfjs/engine.ts';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import type { OperatorCase } from '../graph/operator-cases.ts';
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
  // Small tensors would be computed on the CPU without a shader.
  if (name === 'webgpu') engine.tf.env().set('WEBGPU_CPU_FORWARD', false);
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
    tf.env().set('WEBGPU_CPU_FORWARD', false);
    // tfjs's shader for the transposition of whole numbers has a mistake.
    const wrong = using(engine, () => tf.transpose(tf.ones([2, 3, 4], 'int32'), [2, 1, 0]).data());
    await expect(wrong).rejects.toThrow(/device refuses a kernel/);
    const right = await using(engine, () => tf.add(tf.ones([2]), 1).data());
    expect([...right]).toEqual([2, 2]);
  });
});
