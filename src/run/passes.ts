import type { Placement } from '../core/backend.ts';
import type { Profile } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import type { Parity, PhaseSamples } from '../core/record.ts';
import type { Score } from '../core/workload.ts';
import { compareTensors } from '../stats/parity.ts';
import { readSafetensors, writeSafetensors } from '../weights/index.ts';
import { factsOf, originOf } from './facts.ts';
import { build, type OpenJob, openJob, optionsOf, type PlacedConfig, placementOf, trafficOf } from './job.ts';
import { affordable, measure, repeat } from './measure.ts';
import type { Findings } from './protocol.ts';
import type { Subject } from './subject.ts';

/** How a pass tells the parent what it does and finds, piece by piece: a crash then loses only the last piece. */
export interface Reporting {
  stage(name: string): void;
  note(text: string): void;
  found(findings: Partial<Findings>): void;
  samples(samples: PhaseSamples[]): void;
}

/** A pass does its work and leaves the job open, so that closing it cannot cost the result. */
export type Pass = (subject: Subject, place: PlacedConfig, report: Reporting) => Promise<OpenJob>;

async function open(
  subject: Subject,
  place: PlacedConfig,
  report: Reporting,
  pass: Parameters<typeof openJob>[5],
  options: Parameters<typeof openJob>[6] = {},
) {
  report.stage('building the model');
  const built = await build(subject, place, report.note);
  report.found({ model_sha256: built.sha256, cold: { build: built.ms } });
  const origin = await originOf(built);
  report.stage('opening the model');
  const job = await openJob(subject, built, place, origin.trained, report.note, pass, options);
  report.found({ options: optionsOf(job.sessions), cold: { load: job.loadMs } });
  return { built, origin, job };
}

/** Writes the outputs that all backends and precisions are compared with; the runtime optimises nothing. */
export const referencePass =
  (file: string): Pass =>
  async (subject, place, report) => {
    const { job } = await open(subject, place, report, 'reference', { optimisation: 'disabled' });
    report.stage('computing the reference');
    await writeSafetensors(file, await job.activity.outputs());
    return job;
  };

/** Compares outputs with the reference, proves where nodes ran, and scores quality. */
export const checkPass =
  (file: string, score: boolean): Pass =>
  async (subject, place, report) => {
    const { built, origin, job } = await open(subject, place, report, 'check', { prove: true });
    report.stage('checking the outputs');
    report.found({ facts: await factsOf(subject, built, origin, job) });
    const { reference, tolerance } = place.config.parity;
    const outputs = await job.activity.outputs();
    report.found({ traffic: trafficOf(job.sessions) });
    const parity = compareTensors(
      outputs,
      await readSafetensors(file),
      tolerance[subject.precision],
      reference,
    );
    const placement = await placementOf(job.sessions);
    report.found({ parity, placement, invalid: objection(parity, placement, subject.backend.name) });
    // What is scored of seeded weights is what means something of them.
    const worth = subject.workload.metrics.filter((m) => m.of === 'score' && (origin.trained || m.seeded));
    if (score && worth.length > 0 && parity.agrees && job.activity.scores) {
      report.stage('scoring quality');
      const scores = checked(await job.activity.scores((name) => report.stage(`scoring quality: ${name}`)));
      report.found({
        scores: scores.filter((s) => origin.trained || worth.some((m) => m.name === s.metric)),
      });
    }
    return job;
  };

/** One round of timing: the cold repetition, then the timed loop. */
export const speedPass =
  (profile: Profile): Pass =>
  async (subject, place, report) => {
    const { job } = await open(subject, place, report, 'speed');
    report.stage('measuring the speed');
    const first = await repeat(job.activity, 0);
    report.found({ cold: { first } });
    await measure(job.activity, affordable(profile, first), report.samples);
    return job;
  };

/** The first repetition grows the arena, the second may fragment it; the third is there to show that it stays. */
const MEMORY_REPETITIONS = 3;

/** The same work untimed, for the parent to watch the memory. */
export const memoryPass: Pass = async (subject, place, report) => {
  const { job } = await open(subject, place, report, 'memory');
  report.stage('measuring the memory');
  for (let i = 0; i < MEMORY_REPETITIONS; i++) await repeat(job.activity, i);
  return job;
};

/**
 * The most that a backend reaches: the fastest repetition of any of the config's peak workloads. Which one that is differs by
 * runtime: some have faster kernels for convolutions than for products.
 */
export const peakPass =
  (profile: Profile, others: readonly Subject[]): Pass =>
  async (first, place, report) => {
    let job = await openPeak(first, place, report);
    let gflops = await peakOf(job, first, profile);
    report.found({ gflops });
    for (const subject of others) {
      await job.activity.close();
      job = await openPeak(subject, place, report);
      gflops = Math.max(gflops, await peakOf(job, subject, profile));
      report.found({ gflops });
    }
    return job;
  };

async function openPeak(subject: Subject, place: PlacedConfig, report: Reporting): Promise<OpenJob> {
  const { job } = await open(subject, place, report, 'peak');
  report.stage('measuring the peak');
  return job;
}

/** GFLOP/s of the fastest repetition: 2 FLOP per MAC ÷ (10⁶ × ms). */
async function peakOf({ activity }: OpenJob, subject: Subject, profile: Profile): Promise<number> {
  const macs = await subject.workload.macs?.(subject.params, subject.batch, subject.model);
  if (!macs) {
    throw new VersusError('usage', `the peak workload ${subject.workload.name} knows no MACs`, {
      where: 'peak in the config',
      next: 'Give the workload a `macs` function.',
    });
  }
  await repeat(activity, 0);
  let fastest = Number.POSITIVE_INFINITY;
  await measure(activity, profile, (samples) => {
    fastest = Math.min(fastest, ...durations(samples));
  });
  return (2 * macs) / (fastest * 1e6);
}

/** Milliseconds of each repetition, summed over its phases. */
function durations(samples: readonly PhaseSamples[]): number[] {
  const sums = new Map<number, number>();
  for (const { ms, rep } of samples) {
    for (let i = 0; i < ms.length; i++) sums.set(rep[i]!, (sums.get(rep[i]!) ?? 0) + ms[i]!);
  }
  return [...sums.values()];
}

/** Why a case that ran does not count. */
function objection(parity: Parity, placement: Placement | null, backend: string): string | null {
  if (!parity.agrees) {
    return `outputs differ from ${parity.reference}: ${parity.worst}, relative ${digits(parity.max_rel)} where ${parity.tolerance} is allowed`;
  }
  if (placement && placement.share < 1) {
    const percent = digits((1 - placement.share) * 100);
    const { share_of_time: time } = placement;
    const elsewhere = time == null ? '' : ` (${digits((1 - time) * 100)}% of the time was spent elsewhere)`;
    return `${percent}% of the nodes did not run on ${backend}${elsewhere}: ${placement.strays.join(', ')}`;
  }
  return null;
}

const digits = (x: number): string =>
  x === Number.MAX_VALUE ? 'beyond measure' : String(Number(x.toPrecision(3)));

function checked(scores: readonly Score[]): readonly Score[] {
  for (const { metric, value } of scores) {
    if (!Number.isFinite(value)) throw new VersusError('input', `the score ${metric} is ${value}`);
  }
  return scores;
}
