import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadEngine } from '../../src/backends/tfjs/engine.ts';
import { difference, runInterpreter } from '../graph/operator-run.ts';
import { ELEMENTWISE } from '../graph/operators-elementwise.ts';
import { LINEAR } from '../graph/operators-linear.ts';
import { MOVEMENT } from '../graph/operators-movement.ts';
import { REDUCE } from '../graph/operators-reduce.ts';
import { runOn } from './tfjs-operators.ts';

const CASES = { ...ELEMENTWISE, ...LINEAR, ...MOVEMENT, ...REDUCE };
const SEED = Number(process.env.PROPERTY_SEED ?? 1);
const RUNS = Number(process.env.PROPERTY_RUNS ?? 8);

describe.each(['wasm', 'cpu'] as const)('tfjs-%s and the interpreter agree on', (name) => {
  it.each(Object.entries(CASES))('%s', async (_name, cases) => {
    const engine = await loadEngine(name);
    await fc.assert(
      fc.asyncProperty(cases, fc.constantFrom('fed' as const, 'turned' as const), async (c, entry) => {
        const expected = runInterpreter(c);
        expect(difference(await runOn(engine, c, entry), expected, Math.max(c.tolerance, 1e-5))).toBeNull();
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
});
