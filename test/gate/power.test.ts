import { describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../src/gate/result.ts';
import { gaussian } from '../stats/helpers.ts';
import { gateOnce, NOISE } from './noise.ts';

/** Share of `commits` that the gate fails, ten models with a latency and a throughput each; a slowdown hits one of them. */
function failures(noise: keyof typeof NOISE, rounds: number, slowdown: number, commits: number): number {
  const draw = gaussian(17);
  let failed = 0;
  for (let i = 0; i < commits; i++) {
    const options = { cases: 10, rounds, slowdown: (arm: number) => (arm === 0 ? slowdown : 1) };
    if (exitCodeOf(gateOnce(draw, NOISE[noise], options), { strict: false }) === 1) failed++;
  }
  return failed / commits;
}

describe('error rates of the gate, by simulation (scripts/gate-power.ts has the whole table)', () => {
  it.each(['quiet', 'desktop', 'shared'] as const)('raises few false alarms on a %s machine', (noise) => {
    expect(failures(noise, 8, 1, 60)).toBeLessThanOrEqual(0.05);
  });

  it('finds a slowdown of 10% at a tolerance of 5%', () => {
    expect(failures('quiet', 6, 1.1, 20)).toBeGreaterThanOrEqual(0.9);
    expect(failures('desktop', 8, 1.1, 20)).toBeGreaterThanOrEqual(0.8);
  });

  it('does not fail what stays within the tolerance', () => {
    expect(failures('desktop', 8, 1.02, 40)).toBeLessThanOrEqual(0.05);
  });
});
