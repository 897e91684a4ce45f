import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Opened, OpenOptions, Placement, Traffic } from '../core/backend.ts';
import type { Config } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import type { Artifact, ModelDef } from '../core/model.ts';
import type { Activity, Job } from '../core/workload.ts';
import { openArtifact, openArtifactResident, prepareArtifacts } from '../weights/index.ts';
import type { Subject } from './subject.ts';

/** A config with the folder that its relative paths start from. */
export interface PlacedConfig {
  readonly config: Config;
  readonly dir: string;
}

/** A workload that is open on its backend, and what opening it cost. */
export interface OpenJob {
  readonly activity: Activity;
  readonly sessions: readonly Opened[];
  readonly loadMs: number;
}

export interface Built {
  /** The arm's model, or what the workload derived from it. */
  readonly model: ModelDef;
  readonly artifacts: Readonly<Record<string, Artifact>>;
  readonly ms: number;
  readonly sha256: string;
}

/** Writes the model's graphs and weights to the cache, or finds them there. */
export async function build(
  { model: given, workload, params, batch, backend, precision }: Subject,
  { config, dir }: PlacedConfig,
  progress: (text: string) => void,
): Promise<Built> {
  const start = performance.now();
  const training = backend.training ?? {};
  const model = (await workload.derive?.({ model: given, params, batch, training })) ?? given;
  const artifacts = await prepareArtifacts(model, {
    cacheDir: path.resolve(dir, config.cache.dir),
    maxBytes: config.cache.maxBytes,
    precision,
    progress: (what, done, total) =>
      progress(done !== undefined && total ? `${what} ${Math.floor((100 * done) / total)}%` : what),
  });
  return { model, artifacts, ms: performance.now() - start, sha256: identityOf(artifacts) };
}

/** One hash over all graphs of a model. */
function identityOf(artifacts: Readonly<Record<string, Artifact>>): string {
  const hash = createHash('sha256');
  for (const name of Object.keys(artifacts).sort()) hash.update(`${name}:${artifacts[name]!.sha256}\n`);
  return hash.digest('hex');
}

/** Opens the workload; sessions are timed one by one, what the workload prepares beside them is not. */
export async function openJob(
  subject: Subject,
  built: Built,
  { config, dir }: PlacedConfig,
  trained: boolean,
  progress: (text: string) => void,
  pass: NonNullable<Job['pass']>,
  options: Omit<OpenOptions, 'precision'> = {},
): Promise<OpenJob> {
  const sessions: Opened[] = [];
  let loadMs = 0;
  const booked = async <S extends Opened>(open: () => Promise<S>): Promise<S> => {
    const start = performance.now();
    const session = await open();
    loadMs += performance.now() - start;
    sessions.push(session);
    return session;
  };
  const opening = async <S extends Opened>(graphName: string, open: (artifact: Artifact) => Promise<S>) => {
    const artifact = built.artifacts[graphName];
    if (!artifact) throw noGraph(subject, graphName, Object.keys(built.artifacts));
    return booked(() => open(artifact));
  };
  const opened = { ...options, precision: subject.precision };
  const { backend } = subject;
  const job: Job = {
    model: subject.model,
    built: built.model,
    params: subject.params,
    batch: subject.batch,
    seed: subject.seed,
    trained,
    pass,
    open: (graphName) => opening(graphName, (artifact) => openArtifact(subject.backend, artifact, opened)),
    openResident: (graphName, keep, asked) =>
      opening(graphName, (artifact) =>
        openArtifactResident(subject.backend, artifact, { ...asked, ...opened }, keep),
      ),
    ...(backend.openAutograd && {
      openAutograd: (given) => booked(() => backend.openAutograd!(subject.model, given, opened)),
    }),
    async dataset(name) {
      const found = config.datasets.find((dataset) => dataset.name === name);
      if (!found) {
        throw new VersusError('usage', `the config has no dataset ${name}`, {
          where: `workload ${subject.workload.name}`,
          next: 'Add it to `datasets` in the config.',
        });
      }
      return found.prepare(path.resolve(dir, 'datasets'), progress);
    },
  };
  try {
    const activity = await subject.workload.open(job);
    return { activity, sessions, loadMs };
  } catch (error) {
    // What goes wrong while closing must not hide why it came to that.
    await Promise.allSettled(sessions.map(async (session) => session.close()));
    throw error;
  }
}

/** The options of all sessions; those of a model's first graph win where graphs differ. */
export function optionsOf(sessions: readonly Opened[]): Opened['options'] {
  return Object.assign({}, ...sessions.map((session) => session.options).reverse());
}

/** Placement over the graphs of a case that ran; null where none of the sessions can tell. */
export async function placementOf(sessions: readonly Opened[]): Promise<Placement | null> {
  const all: Placement[] = [];
  for (const session of sessions) {
    const placement = await session.placement();
    if (placement) all.push(placement);
  }
  if (all.length === 0) return null;
  const nodes: Record<string, number> = {};
  const times: Record<string, number> = {};
  let asked = 0;
  let total = 0;
  let askedTime = 0;
  for (const placement of all) {
    const count = Object.values(placement.nodes).reduce((a, b) => a + b, 0);
    for (const [device, n] of Object.entries(placement.nodes)) nodes[device] = (nodes[device] ?? 0) + n;
    asked += placement.share * count;
    total += count;
    const spent = Object.entries(placement.times ?? {});
    for (const [device, ms] of spent) {
      times[device] = (times[device] ?? 0) + ms;
      askedTime += ms * (placement.share_of_time ?? 0);
    }
  }
  const time = Object.values(times).reduce((a, b) => a + b, 0);
  return {
    nodes,
    share: total === 0 ? Math.min(...all.map((p) => p.share)) : asked / total,
    ...(time > 0 && { times, share_of_time: askedTime / time }),
    method: all.find((p) => p.method !== all[0]!.method) ? 'profile' : all[0]!.method,
    strays: [...new Set(all.flatMap((p) => p.strays))].sort(),
  };
}

/** Bytes moved and held by all sessions of a case; null where one of them does not count. */
export function trafficOf(sessions: readonly Opened[]): Traffic | null {
  const all = sessions.flatMap((session) => session.traffic?.() ?? []);
  if (all.length < sessions.length) return null;
  const sum = (of: keyof Traffic) => all.reduce((bytes, traffic) => bytes + traffic[of], 0);
  return { to_device: sum('to_device'), to_host: sum('to_host'), resident: sum('resident') };
}

function noGraph({ model, workload }: Subject, asked: string, have: readonly string[]): VersusError {
  return new VersusError('usage', `model ${model.name} has no graph “${asked}”, only ${have.join(', ')}`, {
    where: `workload ${workload.name}`,
    next: 'Use a workload that fits the model’s task.',
  });
}
