import {
  type Availability,
  type Backend,
  type NodeTime,
  PRECISIONS,
  type Precision,
} from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Artifact, ModelDef } from '../core/model.ts';
import { requireNames } from '../core/names.ts';
import { fixedSize } from '../data/preprocess.ts';
import { worksOf } from '../profile/costs.ts';
import { median, nodeRows, operatorRows, type Peak } from '../profile/rows.ts';
import { prepareArtifacts } from '../weights/index.ts';
import { type CommonOptions, cacheDir, lookingContextOf, print, printJson, say } from './context.ts';
import { measuredPeaks } from './machine.ts';
import { dimensionSizes, wholeNumber } from './numbers.ts';
import { feedsOf, sizesOf } from './profile-feeds.ts';
import { profileLines } from './profile-lines.ts';
import { findBackend, findModel } from './select.ts';

interface ProfileOptions extends CommonOptions {
  readonly backend: string;
  readonly graph?: string;
  readonly by: string;
  readonly top: string;
  readonly batch: string;
  readonly dim?: readonly string[];
  readonly precision: string;
  readonly rounds: string;
  readonly threads?: string;
  readonly peak: boolean;
}

/** Runs before those that count: the first allocates, compiles and packs. */
const WARMUP = 2;

export type ProfileResult = Awaited<ReturnType<typeof profiled>>;

/**
 * `versus profile MODEL [--json]`: `{ kind: 'profile', model, graph, backend, version, device: { kind, name, driver, software },
 * precision, batch, dims, rounds, options, run_ms, nodes_ms, macs, peak: { gflops, gbytes, reason }, devices: [{ name, nodes,
 * ms, share }], operators: [{ operator, count, ms, share, macs, bytes, gflops, gbytes, share_of_flops, share_of_bandwidth, devices }],
 * nodes: [the same and name, inputs, outputs] }`.
 *
 * - `ms` of a node is its median over the rounds, of an operator the sum of its nodes; `nodes_ms` is the sum over all nodes and
 *   `run_ms` the median of whole runs, profiler included. On webgpu nodes are timed by the GPU's clock.
 * - `macs`, `bytes` and what follows from them are null where they are not known; `gflops` also where nothing is computed.
 *   `macs` at the top is the sum over nodes, null as soon as one is not known.
 * - `peak.reason` says why there is none. `nodes` has as many as `--top` allows, whatever `--by` says.
 */
export async function profileCommand(name: string, options: ProfileOptions): Promise<number> {
  requireNames('precision', [options.precision], PRECISIONS);
  requireNames('value of --by', [options.by], ['op', 'node']);
  const loaded = await lookingContextOf(options);
  const model = await findModel(loaded.config, name);
  const backend = findBackend(loaded.config, options.backend);
  const place = { cacheDir: cacheDir(loaded), maxBytes: loaded.config.cache.maxBytes };
  const result = await profiled(model, backend, place, options);
  if (options.json) printJson(result);
  else for (const line of profileLines(result, options.by)) print(line);
  return 0;
}

async function profiled(
  model: ModelDef,
  backend: Backend,
  place: { readonly cacheDir: string; readonly maxBytes: number },
  options: ProfileOptions,
) {
  const [rounds, top] = [wholeNumber('--rounds', options.rounds), wholeNumber('--top', options.top, 0)];
  const batch = wholeNumber('--batch', options.batch);
  const given = dimensionSizes(options.dim ?? []);
  const threads = options.threads === undefined ? undefined : wholeNumber('--threads', options.threads);
  const precision = options.precision as Precision;
  const availability = await availabilityOf(backend, precision);
  // Before the weights are made, which takes long: what is wrong with the question should show at once.
  const graphs = await model.build(model.config);
  const graphName = graphNameOf(model.name, Object.keys(graphs), options.graph);
  const fixed = model.preprocess ? fixedSize(model.preprocess) : null;
  const known = { ...(fixed && { height: fixed.height, width: fixed.width }), ...model.dims };
  sizesOf(graphs[graphName]!.inputs, given, known, batch);
  const artifacts = await prepareArtifacts(model, { ...place, precision });
  const artifact = artifacts[graphName]!;
  const graph = await artifact.graph();
  const dims = sizesOf(graph.inputs, given, known, batch);
  const opened = { precision, prove: true, ...(threads !== undefined && { threads }) };
  const ran = await times(backend, artifact, opened, () => feedsOf(graph, dims, 0), rounds);
  const peak = await peakOf(backend, availability, place, options.peak);
  const nodes = nodeRows(ran.times, worksOf(graph, dims, ran.times), peak, WARMUP);
  const operators = operatorRows(nodes, peak);
  const giga = (value: number | null) => (value === null ? null : value / 1e9);
  return {
    kind: 'profile' as const,
    ...{ model: model.name, graph: graphName, backend: backend.name, version: availability.version },
    ...{ device: availability.device, precision, batch, dims, rounds, options: ran.options },
    run_ms: median(ran.runs.slice(WARMUP)),
    nodes_ms: nodes.reduce((sum, { ms }) => sum + ms, 0),
    macs: nodes.reduce<number | null>(
      (sum, { macs }) => (sum === null || macs === null ? null : sum + macs),
      0,
    ),
    peak: { gflops: giga(peak.flops), gbytes: giga(peak.bandwidth), reason: peak.reason },
    devices: byDevice(nodes),
    operators,
    node_count: nodes.length,
    nodes: top === 0 ? nodes : nodes.slice(0, top),
  };
}

/** Runs the graph and asks for the times of its nodes. @throws VersusError `unsupported` where the backend tells none */
async function times(
  backend: Backend,
  artifact: Artifact,
  open: Parameters<Backend['open']>[1],
  feeds: () => ReturnType<typeof feedsOf>,
  rounds: number,
): Promise<{ times: readonly NodeTime[]; runs: number[]; options: Readonly<Record<string, unknown>> }> {
  const session = await backend.open(artifact, open);
  try {
    if (!session.profile) throw tellsNothing(backend.name);
    const fed = feeds();
    const runs: number[] = [];
    for (let i = 0; i < WARMUP + rounds; i++) {
      const start = performance.now();
      await session.run(fed);
      runs.push(performance.now() - start);
    }
    const found = await session.profile();
    if (found === null) throw tellsNothing(backend.name);
    return { times: found, runs, options: session.options };
  } finally {
    await session.close();
  }
}

function tellsNothing(backend: string): VersusError {
  return new VersusError('unsupported', `${backend} does not tell how long its nodes take`, {
    next: 'profile it on another backend; `versus doctor` lists them',
  });
}

/** @throws VersusError `infrastructure` for a backend that cannot run here, `unsupported` for a precision that it lacks */
async function availabilityOf(
  backend: Backend,
  precision: Precision,
): Promise<Availability & { readonly available: true }> {
  const availability = await backend.probe();
  if (!availability.available) {
    throw new VersusError('infrastructure', `${backend.name} cannot run here: ${availability.reason}`, {
      ...(availability.fix === null ? {} : { next: availability.fix }),
    });
  }
  if (availability.precisions.includes(precision)) return availability;
  throw new VersusError('unsupported', `${backend.name} has no ${precision} on ${availability.device.name}`, {
    next: `use --precision with one of ${availability.precisions.join(', ')}`,
  });
}

/** The graph that is meant: the only one, or the one that is named. */
function graphNameOf(model: string, names: readonly string[], asked: string | undefined): string {
  if (asked !== undefined) {
    if (names.includes(asked)) return asked;
    throw new VersusError('usage', `${model} has no graph '${asked}'`, {
      next: `it has ${names.join(', ')}`,
    });
  }
  if (names.length === 1) return names[0]!;
  throw new VersusError('usage', `${model} has ${names.length} graphs`, {
    next: `choose one: ${names.map((name) => `--graph ${name}`).join(', ')}`,
  });
}

/** Peaks where they mean something, else why not. */
async function peakOf(
  backend: Backend,
  { device }: { readonly device: { readonly name: string; readonly software: boolean } },
  place: { readonly cacheDir: string; readonly maxBytes: number },
  wanted: boolean,
): Promise<Peak & { readonly reason: string | null }> {
  const without = (reason: string) => ({ flops: null, bandwidth: null, reason });
  if (!wanted) return without('not asked for');
  if (device.software) return without(`${device.name} is a GPU emulated on the CPU: its speed means nothing`);
  if (backend.oracle)
    return without(`${backend.name} is there to check others and has no peak worth measuring`);
  say(`measuring the peaks of ${backend.name}`);
  return { ...(await measuredPeaks(backend, place)), reason: null };
}

/** Where the time was spent, most first. */
function byDevice(nodes: readonly { readonly devices: readonly string[]; readonly ms: number }[]) {
  const total = nodes.reduce((sum, { ms }) => sum + ms, 0);
  const found = new Map<string, { nodes: number; ms: number }>();
  for (const { devices, ms } of nodes) {
    const name = devices[0]!;
    const so = found.get(name) ?? { nodes: 0, ms: 0 };
    found.set(name, { nodes: so.nodes + 1, ms: so.ms + ms });
  }
  return [...found]
    .map(([name, of]) => ({ name, ...of, share: total === 0 ? 0 : of.ms / total }))
    .sort((a, b) => b.ms - a.ms);
}
