/** Whether backends compute what a reference backend computes, on inputs drawn from a seed. */
import type { Backend, OpenOptions, Precision } from '../core/backend.ts';
import { type ErrorKind, reasonOf, VersusError } from '../core/errors.ts';
import type { Artifact, ModelDef } from '../core/model.ts';
import type { Tensors } from '../core/tensor.ts';
import { openOnnx } from '../graph/onnx/index.ts';
import { compareOutputs, type OutputDifference } from '../stats/parity.ts';
import { prepareArtifacts } from '../weights/index.ts';
import { drawInputs } from './draw.ts';
import type { Asked } from './sizes.ts';

export interface ModelOptions extends Asked {
  readonly cacheDir: string;
  readonly maxBytes: number;
  readonly precision: Precision;
  readonly tolerance: number;
  readonly seed: number;
  readonly progress?: (what: string) => void;
}

/** Why a backend has no outputs to compare. */
export interface Failure {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly where: string | null;
  readonly next: string | null;
}

export interface GraphVerdict {
  readonly graph: string;
  readonly agrees: boolean;
  readonly outputs: readonly OutputDifference[];
  readonly failure: Failure | null;
}

export interface BackendVerdict {
  readonly backend: string;
  readonly agrees: boolean;
  readonly graphs: readonly GraphVerdict[];
}

export interface ModelVerdict {
  readonly model: string;
  readonly family: string;
  /** The backend that all others are compared with, and the precision that it computed in. */
  readonly reference: string;
  readonly reference_precision: Precision;
  readonly precision: Precision;
  readonly seed: number;
  readonly tolerance: number;
  readonly agrees: boolean;
  /** Sizes of the symbolic dimensions, by graph. */
  readonly dims: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly backends: readonly BackendVerdict[];
}

/** How the reference is opened: nothing is optimised, so no fusion can be wrong in it. */
export const plain = (precision: Precision): OpenOptions => ({ precision, optimisation: 'disabled' });

/** Weights in blocks are compared with the same blocks; what rounding them costs is no backend's affair. */
export const referencePrecision = (precision: Precision): Precision =>
  precision === 'fp16' ? 'fp32' : precision;

/**
 * Runs every graph of a model on seeded inputs, on the reference and on each backend, and compares all outputs. One session is
 * open at a time. A backend that cannot run a graph disagrees, with the reason.
 *
 * @throws VersusError `usage` for open dimensions, and whatever keeps the reference itself from running
 */
export async function verifyModel(
  model: ModelDef,
  backends: readonly Backend[],
  reference: Backend,
  options: ModelOptions,
): Promise<ModelVerdict> {
  const { precision, tolerance, seed, progress } = options;
  const theirs = await artifactsOf(model, precision, options);
  const base = referencePrecision(precision);
  const own = base === precision || model.files ? theirs : await artifactsOf(model, base, options);
  const dims: Record<string, Readonly<Record<string, number>>> = {};
  const verdicts = backends.map(({ name }) => ({ backend: name, graphs: [] as GraphVerdict[] }));
  for (const graphName of Object.keys(own).sort()) {
    const drawn = drawInputs(graphName, await structureOf(own[graphName]!), model, options);
    dims[graphName] = drawn.dims;
    progress?.(`${graphName} on ${reference.name}`);
    const expected = await runOnce(reference, own[graphName]!, drawn.feeds, plain(base));
    for (const [i, backend] of backends.entries()) {
      progress?.(`${graphName} on ${backend.name}`);
      // Our graphs keep float32 at their edges in every precision, so the same feeds serve all of them.
      verdicts[i]!.graphs.push(
        await judge(graphName, expected, tolerance, () =>
          runOnce(backend, theirs[graphName]!, drawn.feeds, { precision }),
        ),
      );
    }
  }
  const judged = verdicts.map(({ backend, graphs }) => ({
    backend,
    graphs: graphs.map((g) => withSupporters(g, reference.name, verdicts)),
    agrees: graphs.every((g) => g.agrees),
  }));
  return {
    ...{ model: model.name, family: model.family, reference: reference.name, reference_precision: base },
    ...{ precision, seed, tolerance, agrees: judged.every((v) => v.agrees), dims, backends: judged },
  };
}

/** @throws VersusError as `prepareArtifacts` */
export function artifactsOf(
  model: ModelDef,
  precision: Precision,
  { cacheDir, maxBytes, progress }: Pick<ModelOptions, 'cacheDir' | 'maxBytes' | 'progress'>,
): Promise<Record<string, Artifact>> {
  return prepareArtifacts(model, { cacheDir, maxBytes, precision, ...(progress && { progress }) });
}

/** The graph of an artifact as its file has it. */
export async function structureOf(artifact: Artifact) {
  const { graph, weights } = await openOnnx(artifact.path);
  await weights.close();
  return graph;
}

/** All outputs of one run in a session of its own. */
export async function runOnce(
  backend: Backend,
  artifact: Artifact,
  feeds: Tensors,
  options: OpenOptions,
  fetch?: readonly string[],
): Promise<Tensors> {
  const session = await backend.open(artifact, options);
  try {
    return await session.run(feeds, fetch);
  } finally {
    await session.close();
  }
}

async function judge(
  graph: string,
  expected: Tensors,
  tolerance: number,
  run: () => Promise<Tensors>,
): Promise<GraphVerdict> {
  try {
    const outputs = compareOutputs(await run(), expected, tolerance);
    return { graph, agrees: outputs.every((o) => o.agrees), outputs, failure: null };
  } catch (error) {
    return { graph, agrees: false, outputs: [], failure: failureOf(error) };
  }
}

/** What a backend lacks others had: the reference, and whichever ran the graph in the same call. */
function withSupporters(
  verdict: GraphVerdict,
  reference: string,
  all: readonly { readonly backend: string; readonly graphs: readonly GraphVerdict[] }[],
): GraphVerdict {
  const { failure, graph } = verdict;
  if (failure?.kind !== 'unsupported') return verdict;
  const ran = all.filter(({ graphs }) => graphs.some((g) => g.graph === graph && g.failure === null));
  const names = new Set([reference, ...ran.map(({ backend }) => backend)]);
  return { ...verdict, failure: { ...failure, next: `run it on ${[...names].join(' or ')}` } };
}

export function failureOf(error: unknown): Failure {
  const known = error instanceof VersusError ? error : null;
  return {
    kind: known?.kind ?? 'infrastructure',
    message: reasonOf(error),
    where: known?.where ?? null,
    next: known?.next ?? null,
  };
}
