import { createHash } from 'node:crypto';
import path from 'node:path';
import type { OpenOptions, Placement, Session } from '../core/backend.ts';
import type { Config } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import type { Artifact } from '../core/model.ts';
import type { Activity, Job } from '../core/workload.ts';
import { openArtifact, prepareArtifacts } from '../weights/index.ts';
import type { Subject } from './subject.ts';

/** A config with the folder that its relative paths start from. */
export interface PlacedConfig {
  readonly config: Config;
  readonly dir: string;
}

/** A workload that is open on its backend, and what opening it cost. */
export interface OpenJob {
  readonly activity: Activity;
  readonly sessions: readonly Session[];
  readonly loadMs: number;
}

export interface Built {
  readonly artifacts: Readonly<Record<string, Artifact>>;
  readonly ms: number;
  readonly sha256: string;
}

/** Writes the model's graphs and weights to the cache, or finds them there. */
export async function build(
  { model, precision }: Subject,
  { config, dir }: PlacedConfig,
  progress: (text: string) => void,
): Promise<Built> {
  const start = performance.now();
  const artifacts = await prepareArtifacts(model, {
    cacheDir: path.resolve(dir, config.cache.dir),
    maxBytes: config.cache.maxBytes,
    precision,
    progress: (what, done, total) =>
      progress(done !== undefined && total ? `${what} ${Math.floor((100 * done) / total)}%` : what),
  });
  return { artifacts, ms: performance.now() - start, sha256: identityOf(artifacts) };
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
  options: Omit<OpenOptions, 'precision'> = {},
): Promise<OpenJob> {
  const sessions: Session[] = [];
  let loadMs = 0;
  const job: Job = {
    model: subject.model,
    params: subject.params,
    batch: subject.batch,
    seed: subject.seed,
    trained,
    async open(graphName) {
      const artifact = built.artifacts[graphName];
      if (!artifact) throw noGraph(subject, graphName, Object.keys(built.artifacts));
      const start = performance.now();
      const session = await openArtifact(subject.backend, artifact, {
        ...options,
        precision: subject.precision,
      });
      loadMs += performance.now() - start;
      sessions.push(session);
      return session;
    },
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
export function optionsOf(sessions: readonly Session[]): Session['options'] {
  return Object.assign({}, ...sessions.map((session) => session.options).reverse());
}

/** Placement over the graphs of a case that ran; null where none of the sessions can tell. */
export async function placementOf(sessions: readonly Session[]): Promise<Placement | null> {
  const all: Placement[] = [];
  for (const session of sessions) {
    const placement = await session.placement();
    if (placement) all.push(placement);
  }
  if (all.length === 0) return null;
  const nodes: Record<string, number> = {};
  let asked = 0;
  let total = 0;
  for (const placement of all) {
    const count = Object.values(placement.nodes).reduce((a, b) => a + b, 0);
    for (const [device, n] of Object.entries(placement.nodes)) nodes[device] = (nodes[device] ?? 0) + n;
    asked += placement.share * count;
    total += count;
  }
  return {
    nodes,
    share: total === 0 ? Math.min(...all.map((p) => p.share)) : asked / total,
    method: all.find((p) => p.method !== all[0]!.method) ? 'profile' : all[0]!.method,
    strays: [...new Set(all.flatMap((p) => p.strays))].sort(),
  };
}

function noGraph({ model, workload }: Subject, asked: string, have: readonly string[]): VersusError {
  return new VersusError('usage', `model ${model.name} has no graph “${asked}”, only ${have.join(', ')}`, {
    where: `workload ${workload.name}`,
    next: 'Use a workload that fits the model’s task.',
  });
}
