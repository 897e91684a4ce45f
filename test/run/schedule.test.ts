import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cell } from '../../src/core/record.ts';
import type { Plan } from '../../src/run/plan.ts';
import { Progress } from '../../src/run/progress.ts';
import {
  cellStatuses,
  checkCases,
  measurable,
  memoryCases,
  peakTargets,
  referenceCases,
  speedCases,
} from '../../src/run/schedule.ts';
import { CELL, PROFILE } from './sketch.ts';

const cell = (arm: string, backend = 'cpu', precision = 'fp32'): Cell => ({
  ...CELL,
  arm,
  backend,
  precision,
  case_id: `s/w/${arm}/${backend}/${precision}/b1`,
});
const CELLS = [cell('A'), cell('B'), cell('C'), cell('A', 'gpu'), cell('A', 'soft')];
const PLAN: Plan = {
  profileName: 'default',
  profile: PROFILE,
  rounds: 3,
  cells: CELLS,
  blocked: new Map([['s/w/C/cpu/fp32/b1', { status: 'unavailable', reason: 'no' }]]),
  limits: new Map(),
  software: new Set(['soft']),
  unscored: new Set(),
  suites: [],
};

describe('the order of a run', () => {
  it('interleaves rounds and turns every other one round', () => {
    const order = speedCases(CELLS.slice(0, 3), 3).map((c) => `${c.arm}${c.round}`);
    expect(order).toEqual(['A0', 'B0', 'C0', 'C1', 'B1', 'A1', 'A2', 'B2', 'C2']);
    expect(memoryCases(CELLS.slice(0, 2), 2).map((c) => `${c.pass} ${c.arm}${c.round}`)).toEqual([
      'memory A0',
      'memory B0',
      'memory B1',
      'memory A1',
    ]);
  });

  it('gives every cell the same mean place in time over an even number of rounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 4 }), (n, pairs) => {
        const cells = Array.from({ length: n }, (_, i) => cell(`arm${i}`));
        const places = new Map<string, number>();
        for (const [i, c] of speedCases(cells, 2 * pairs).entries()) {
          places.set(c.case_id, (places.get(c.case_id) ?? 0) + i);
        }
        expect(new Set(places.values()).size).toBe(1);
      }),
    );
  });

  it('shares one reference among backends and precisions', () => {
    expect(referenceCases(PLAN, 'cpu').map((c) => c.case_id)).toEqual([
      's/w/A/cpu/fp32/b1',
      's/w/B/cpu/fp32/b1',
    ]);
  });

  it('checks what can run, and knows no peak of a software adapter', () => {
    expect(checkCases(PLAN).map((c) => `${c.arm} ${c.backend}`)).toEqual([
      'A cpu',
      'B cpu',
      'A gpu',
      'A soft',
    ]);
    expect(peakTargets(PLAN)).toEqual([
      { backend: 'cpu', precision: 'fp32' },
      { backend: 'gpu', precision: 'fp32' },
    ]);
  });

  it('times only what was checked and holds', () => {
    const checks = new Map([
      ['s/w/A/cpu/fp32/b1', 'ok'],
      ['s/w/B/cpu/fp32/b1', 'invalid'],
      ['s/w/A/soft/fp32/b1', 'correctness-only'],
    ] as const);
    expect(measurable(PLAN, checks).map((c) => c.case_id)).toEqual(['s/w/A/cpu/fp32/b1']);
  });
});

describe('what became of a cell', () => {
  it('is its check, else its first process that failed; references do not count', () => {
    const [a, b, c] = CELLS as [Cell, Cell, Cell];
    const statuses = cellStatuses(CELLS, [
      { case_id: a.case_id, pass: 'reference', status: 'crashed' },
      { case_id: a.case_id, pass: 'check', status: 'ok' },
      { case_id: a.case_id, pass: 'speed', status: 'ok' },
      { case_id: b.case_id, pass: 'check', status: 'ok' },
      { case_id: b.case_id, pass: 'speed', status: 'timeout' },
      { case_id: b.case_id, pass: 'speed', status: 'ok' },
      { case_id: c.case_id, pass: 'check', status: 'invalid' },
    ]);
    expect([...statuses.values()]).toEqual(['ok', 'timeout', 'invalid']);
  });
});

describe('progress', () => {
  const speed = (name: string, round: number) => ({ phase: 'speed', name, round }) as const;

  it('guesses the rest from the same cell where it can, else from its like', () => {
    const progress = new Progress();
    progress.expect([speed('a', 0), speed('b', 0), speed('a', 1), speed('b', 1)]);
    expect(progress.step(speed('a', 0))).toMatchObject({ done: 0, total: 4, etaMs: null });
    progress.finish(speed('a', 0), 100);
    expect(progress.step(speed('b', 0))).toMatchObject({ done: 1, total: 4, etaMs: 300 });
    progress.finish(speed('b', 0), 1000);
    expect(progress.step(speed('a', 1))).toMatchObject({ done: 2, total: 4, etaMs: 1100 });
    progress.drop([speed('b', 1)]);
    expect(progress.step(speed('a', 1))).toMatchObject({ done: 2, total: 3, etaMs: 100 });
  });
});
