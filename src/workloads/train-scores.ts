import type { Feeds, Resident, ResidentSession } from '../core/backend.ts';
import { readParam } from '../core/read-param.ts';
import type { Job, Score } from '../core/workload.ts';
import type { Batches } from '../training/batches.ts';
import type { Example } from '../training/examples.ts';
import { stored } from '../training/layout.ts';
import { rightOnes } from '../training/right.ts';
import type { Trainer } from '../training/trainer.ts';
import type { Transfer } from '../training/transfer.ts';
import { fedTo, opening } from './train-sessions.ts';
import type { Setup, TrainParams } from './train-setup.ts';

/** Samples of each task when nothing is said. */
const SAMPLES = 128;

/**
 * Trains `steps` steps from the start and says what became of it: the curve of losses, quality on the target task, and on the
 * base task before and after, with the weights that the base task has for itself (a classifier's head).
 */
export async function scoresOf(
  job: Job<TrainParams>,
  setup: Setup,
  examples: Transfer,
  batchesOf: (examples: readonly Example[]) => Batches,
  start: () => Promise<Trainer>,
  learn: (steps: number, of: number) => Promise<{ trainer: Trainer; losses: number[] }>,
): Promise<Score[]> {
  const { steps, samples = SAMPLES } = job.params;
  const session = await opening(job, 'judging', () => false);
  const next = !setup.graphs.includes('encoder');
  const judge = async (of: readonly Example[], state: Readonly<Record<string, Resident>>) => {
    const batches = batchesOf(of);
    const right: boolean[] = [];
    for (let i = 0; i < Math.min(batches.perPass, Math.max(1, Math.floor(samples / batches.size))); i++) {
      const batch = await batches.at(i);
      const feeds: Feeds = fedTo<Feeds[string]>(session, { ...batch, ...state });
      const { host } = await session.run(feeds, [setup.forward.logits]);
      right.push(
        ...rightOnes(host[setup.forward.logits]!, batch.labels!, { next, before: setup.before?.tokens ?? 0 }),
      );
    }
    return right;
  };
  try {
    const known = job.trained && examples.base.length >= job.batch;
    let before: boolean[] | null = null;
    const own = known ? await headState(setup, session) : {};
    if (known) {
      const fresh = await start();
      before = await judge(examples.base, { ...fresh.state, ...own });
      fresh.release();
    }
    const { trainer, losses } = await learn(steps, steps);
    const target = examples.test.length >= job.batch ? await judge(examples.test, trainer.state) : [];
    const after = before && (await judge(examples.base, { ...trainer.state, ...own }));
    trainer.release();
    return [
      { metric: 'loss', value: losses.at(-1)!, n: losses.length, curve: losses },
      ...(target.length > 0 ? [share('target', target)] : []),
      ...(before && after
        ? [share('base_before', before), share('base_after', after), forgetting(before, after)]
        : []),
    ];
  } finally {
    await session.close();
  }
}

/** The head that the model came with, where training begins with a new one. */
async function headState(
  { step, head, weights }: Setup,
  session: ResidentSession,
): Promise<Record<string, Resident>> {
  const params = step.params.filter((p) => head.has(p.name));
  if (params.length === 0) return {};
  const source = await weights.open(params);
  try {
    const state: Record<string, Resident> = {};
    for (const param of params) {
      const kept = step.state.find((s) => s.input === param.name)!;
      state[param.name] = await session.put(stored(await readParam(source, param), kept));
    }
    return state;
  } finally {
    await source.close();
  }
}

const shareOf = (right: readonly boolean[]): number => right.filter(Boolean).length / right.length;

const share = (metric: string, correct: readonly boolean[]): Score => ({
  ...{ metric, value: shareOf(correct), n: correct.length, correct },
});

/** How much of the base task was lost; the interval is of the mean of paired differences (normal approximation). */
function forgetting(before: readonly boolean[], after: readonly boolean[]): Score {
  const n = before.length;
  const lost = before.map((was, i) => Number(was) - Number(after[i]!));
  const mean = lost.reduce((a, b) => a + b, 0) / n;
  const variance = lost.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, n - 1);
  const half = 1.96 * Math.sqrt(variance / n);
  return {
    ...{ metric: 'forgetting', value: mean, n },
    interval: { lo: mean - half, hi: mean + half, method: `paired differences of ${n} answers, 95%` },
  };
}
