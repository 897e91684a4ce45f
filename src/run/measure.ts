import { Bench } from 'tinybench';
import type { Profile } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import type { PhaseSamples } from '../core/record.ts';
import type { Activity } from '../core/workload.ts';
import { SampleStore } from './samples.ts';

/** Samples are handed over this often, so that a crash keeps what was measured; always between repetitions. */
const FLUSH_MS = 200;

type Measuring = Pick<Profile, 'minTimeMs' | 'minRepetitions' | 'warmupRepetitions'>;

/**
 * One repetition. Only `step.run()` lies between the two timestamps; what the workload prepares between steps does not count.
 * @returns milliseconds, summed over the steps.
 */
export async function repeat(
  activity: Activity,
  repetition: number,
  onStep?: (phase: string, ms: number, items: number) => void,
): Promise<number> {
  let sum = 0;
  let steps = 0;
  for await (const step of activity.steps(repetition)) {
    const start = performance.now();
    await step.run();
    const ms = performance.now() - start;
    sum += ms;
    steps++;
    onStep?.(step.phase, ms, step.items);
  }
  if (steps === 0) throw new VersusError('input', 'the workload has no steps: there is nothing to time');
  return sum;
}

/**
 * As many repetitions as fit into `maxTimeMs` when each takes as long as the cold one did, which is the longest. The minimum of
 * time is left as it is, so that where only the cold one was slow (shaders) there are many all the same.
 */
export function affordable<P extends Measuring & Pick<Profile, 'maxTimeMs'>>(profile: P, coldMs: number): P {
  const { maxTimeMs, warmupRepetitions, minRepetitions } = profile;
  if (maxTimeMs === undefined) return profile;
  const fit = Math.max(1, Math.floor(maxTimeMs / coldMs));
  const repetitions = Math.min(minRepetitions, fit);
  return {
    ...profile,
    minRepetitions: repetitions,
    warmupRepetitions: Math.min(warmupRepetitions, Math.max(0, fit - repetitions)),
  };
}

/**
 * The timed loop, driven by tinybench: warm-up, then at least `minRepetitions` and `minTimeMs` of wall time.
 * tinybench sorts its samples and drops them when a repetition throws, so ours are kept in time order beside it.
 */
export async function measure(
  activity: Activity,
  { minTimeMs, minRepetitions, warmupRepetitions }: Measuring,
  onSamples: (samples: PhaseSamples[]) => void,
): Promise<void> {
  const store = new SampleStore();
  let recording = false;
  let rep = 0;
  // Repetition 0 was the cold one.
  let repetition = 1;
  let flushed = performance.now();
  const bench = new Bench({
    time: minTimeMs,
    iterations: minRepetitions,
    warmup: warmupRepetitions > 0,
    warmupTime: 0,
    warmupIterations: warmupRepetitions,
    throws: true,
    setup: (_task, mode) => {
      recording = mode === 'run';
    },
  });
  // Only whole repetitions count: one that throws halfway would look fast.
  let steps: { phase: string; ms: number; items: number }[] = [];
  const onStep = (phase: string, ms: number, items: number): void => {
    steps.push({ phase, ms, items });
  };
  bench.add(
    'repetition',
    async () => {
      const start = performance.now();
      steps = [];
      const overriddenDuration = await repeat(activity, repetition++, onStep);
      if (recording) {
        for (const { phase, ms, items } of steps) store.push(phase, ms, items, rep);
        rep++;
      }
      return { overriddenDuration, overriddenIterationCost: performance.now() - start };
    },
    {
      async: true,
      afterEach: () => {
        if (!recording || performance.now() - flushed < FLUSH_MS) return;
        onSamples(store.take());
        flushed = performance.now();
      },
    },
  );
  try {
    await bench.run();
  } finally {
    onSamples(store.take());
  }
}
