import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KERNELS } from '../../src/graph/kernels/index.ts';
import { difference, runInterpreter, runOnnxruntime } from './operator-run.ts';
import { ELEMENTWISE } from './operators-elementwise.ts';
import { LINEAR } from './operators-linear.ts';
import { MORE } from './operators-more.ts';
import { MOVEMENT } from './operators-movement.ts';
import { REDUCE } from './operators-reduce.ts';

const CASES = { ...ELEMENTWISE, ...LINEAR, ...MOVEMENT, ...REDUCE, ...MORE };
/** The same cases in every run; other seeds and more runs find more: `PROPERTY_SEED=7 PROPERTY_RUNS=500 npx vitest …`. */
const SEED = Number(process.env.PROPERTY_SEED ?? 1);
const RUNS = Number(process.env.PROPERTY_RUNS ?? 15);

describe('the interpreter and onnxruntime, two implementations of one specification, agree on', () => {
  it.each(Object.entries(CASES))('%s', async (_name, cases) => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const ours = runInterpreter(c);
        const theirs = await runOnnxruntime(c, ours);
        expect(difference(ours, theirs, c.tolerance)).toBeNull();
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  it('every operator that the interpreter has, but those that onnxruntime lacks or that have no arithmetic', () => {
    const compared = new Set(
      Object.values(CASES).map((cases) => fc.sample(cases, { numRuns: 1, seed: 1 })[0]!.op),
    );
    const others = ['Constant', 'Dropout', 'RMSNormalization', 'Scatter', 'Swish'];
    expect(
      Object.keys(KERNELS)
        .filter((op) => !compared.has(op))
        .sort(),
    ).toEqual(others);
  });
});
