import { describe, expect, it, vi } from 'vitest';
import type { PhaseSamples } from '../../src/core/record.ts';
import type { Activity } from '../../src/core/workload.ts';
import { affordable, measure, repeat } from '../../src/run/measure.ts';
import { SampleStore } from '../../src/run/samples.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Prefill and two decodes per repetition; `decode` is called with the repetition's number. */
function activity(decode: (repetition: number) => Promise<unknown>, prepareMs = 0) {
  const seen: number[] = [];
  const it: Activity = {
    async *steps(repetition) {
      seen.push(repetition);
      if (prepareMs > 0) await sleep(prepareMs);
      yield { phase: 'prefill', items: 8, run: async () => {} };
      yield { phase: 'decode', items: 1, run: () => decode(repetition) };
      yield { phase: 'decode', items: 1, run: () => decode(repetition) };
    },
    outputs: async () => ({}),
    close: async () => {},
  };
  return { it, seen };
}

async function collect(target: Activity, limits: Parameters<typeof measure>[1]) {
  const store = new SampleStore();
  const chunks: PhaseSamples[][] = [];
  const failure = await measure(target, limits, (samples) => {
    chunks.push(samples);
    store.add(samples);
  }).catch((error: Error) => error.message);
  const phases = Object.fromEntries(store.all().map((p) => [p.phase, p]));
  return { failure, chunks, phases };
}

describe('what a slow backend can afford', () => {
  const asked = { minTimeMs: 400, minRepetitions: 3, warmupRepetitions: 1, maxTimeMs: 4000 };

  it.each([
    [10, 3, 1],
    [1000, 3, 1],
    [1200, 3, 0],
    [1900, 2, 0],
    [5000, 1, 0],
  ])('after a cold repetition of %d ms: %d repetitions, %d to warm up', (coldMs, minRepetitions, warmupRepetitions) => {
    expect(affordable(asked, coldMs)).toEqual({ ...asked, minRepetitions, warmupRepetitions });
  });

  it('changes nothing without a limit', () => {
    const { maxTimeMs: _, ...unlimited } = asked;
    expect(affordable(unlimited, 60_000)).toBe(unlimited);
  });
});

describe('the timed loop', () => {
  it('warms up without a trace, then keeps whole repetitions in time order', async () => {
    const { it: target, seen } = activity(async () => {});
    const { phases } = await collect(target, { minTimeMs: 0, minRepetitions: 4, warmupRepetitions: 3 });
    // 0 is the cold repetition; warm-up and timed ones go on from there.
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(phases.prefill!.rep).toEqual([0, 1, 2, 3]);
    expect(phases.prefill!.items).toEqual([8, 8, 8, 8]);
    expect(phases.decode!.rep).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
  });

  it('goes on until both the least time and the least repetitions are reached', async () => {
    const { it: target } = activity(() => sleep(5));
    const start = performance.now();
    const { phases } = await collect(target, { minTimeMs: 200, minRepetitions: 2, warmupRepetitions: 0 });
    expect(performance.now() - start).toBeGreaterThanOrEqual(195);
    expect(phases.prefill!.ms.length).toBeGreaterThan(2);
  });

  it('keeps drift: samples are not sorted', async () => {
    let clock = 0;
    const now = vi.spyOn(performance, 'now').mockImplementation(() => clock);
    const { it: target } = activity(async (repetition) => {
      clock += 10 - repetition;
    });
    const { phases } = await collect(target, { minTimeMs: 0, minRepetitions: 3, warmupRepetitions: 0 });
    now.mockRestore();
    expect(phases.decode!.ms).toEqual([9, 9, 8, 8, 7, 7]);
  });

  it('times no preparation, but counts it towards the least time', async () => {
    const { it: target } = activity(async () => {}, 20);
    const { phases } = await collect(target, { minTimeMs: 100, minRepetitions: 1, warmupRepetitions: 0 });
    expect(phases.decode!.ms.toSorted((a, b) => a - b)[0]).toBeLessThan(15);
    expect(phases.prefill!.ms.length).toBeLessThanOrEqual(6);
  });

  it('hands samples over while it goes on', async () => {
    const { it: target } = activity(() => sleep(30));
    const { chunks } = await collect(target, { minTimeMs: 0, minRepetitions: 10, warmupRepetitions: 0 });
    expect(chunks.length).toBeGreaterThan(2);
  });

  it('keeps the repetitions before one that throws, and none of that one', async () => {
    let calls = 0;
    const { it: target } = activity(async () => {
      if (++calls === 8) throw new Error('gone');
    });
    const { failure, phases } = await collect(target, {
      minTimeMs: 0,
      minRepetitions: 10,
      warmupRepetitions: 1,
    });
    expect(failure).toBe('gone');
    // One repetition warmed up, two came whole, the fourth threw in its second decode.
    expect(phases.prefill!.rep).toEqual([0, 1]);
    expect(phases.decode!.rep).toEqual([0, 0, 1, 1]);
  });

  it('refuses a workload without steps', async () => {
    const empty: Activity = { ...activity(async () => {}).it, async *steps() {} };
    await expect(repeat(empty, 0)).rejects.toThrow('the workload has no steps');
  });
});
