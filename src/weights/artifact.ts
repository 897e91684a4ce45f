import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Precision } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Graph, Param } from '../core/graph.ts';
import type { Artifact, ModelDef } from '../core/model.ts';
import { toBytes } from '../core/tensor.ts';
import { encodeOnnx } from '../graph/onnx/index.ts';
import { toHalf } from '../transform/precision.ts';
import { quantise } from '../transform/quantise.ts';
import { artifactWeights, type Origin } from './artifact-weights.ts';
import { QUANTISER } from './blocks.ts';
import { obtain } from './cache.ts';
import { checkExported } from './exported-fit.ts';
import { foreignArtifacts } from './foreign.ts';
import { type Layout, layout } from './header.ts';
import { seeded } from './seeded.ts';
import { writeWeights } from './weights-file.ts';

/** Part of every key: raise it when graphs are encoded or weights are laid out differently. */
const CODEC = 1;
const WEIGHTS_FILE = 'weights.safetensors';
const PROGRESS_MS = 200;

export interface PrepareOptions {
  /** Absolute, or relative to the working directory. */
  readonly cacheDir: string;
  /** Entries used longest ago are removed beyond this size. */
  readonly maxBytes: number;
  readonly precision: Precision;
  /** What is being done, and how many bytes of how many are done where that is known; at most a few calls a second. */
  readonly progress?: (what: string, done?: number, total?: number) => void;
}

/**
 * A model's graphs as ONNX files with their weights as external data, from the cache or built now. Parameters that graphs
 * share (by name) lie once in the one `weights.safetensors`. A model that is given as ONNX files is used where it lies.
 * @returns artifact by graph name
 * @throws VersusError `input` when graphs or checkpoint don't fit, `infrastructure` when the disk is too small
 */
export async function prepareArtifacts(
  model: ModelDef,
  options: PrepareOptions,
): Promise<Record<string, Artifact>> {
  const cacheDir = resolve(options.cacheDir);
  const { precision, progress } = options;
  if (model.files) return foreignArtifacts(model.name, model.files, { cacheDir, precision });
  const built = await model.build(model.config);
  const spec = model.weights ?? seeded();
  const brought = await spec.graphs?.(Object.keys(built), { cacheDir, ...(progress && { progress }) });
  if (brought) {
    return foreignArtifacts(model.name, brought.files, {
      ...{ cacheDir, precision, label: brought.label },
      check: (name, graph, path) => checkExported(model.name, name, built[name]!, graph, path),
    });
  }
  const graphs: [string, Graph][] = [];
  for (const name of Object.keys(built).sort()) {
    graphs.push([name, inPrecision(built[name]!, precision)]);
  }
  const { params, originals } = sharedParams(model.name, graphs);
  const plan = layout(params.values(), { format: 'pt' });
  const encoded = graphs.map(([name, graph]) => {
    checkGraphName(model.name, name);
    return { name, bytes: encodeOnnx(graph, { external: external(plan, graph) }) };
  });
  const drawn = [...originals.values()].filter((p) => !p.data);
  const source = await spec.open(drawn, { cacheDir, ...(progress && { progress }) });
  try {
    const identity = (numbers: string, ...parts: (string | Uint8Array)[]): string => {
      const h = createHash('sha256').update(`${CODEC}\n${precision} ${QUANTISER}\n${numbers}\n`);
      for (const part of parts) h.update(createHash('sha256').update(part).digest());
      return h.digest('hex');
    };
    const own = ownData(originals);
    const key = identity(source.id, plan.header, own, ...encoded.flatMap((e) => [e.name, e.bytes]));
    const { id, label, trained } = source;
    const onnxBytes = encoded.reduce((sum, e) => sum + e.bytes.byteLength, 0);
    const { dir, manifest } = await obtain(cacheDir, {
      key,
      bytes: plan.fileBytes + onnxBytes,
      maxBytes: options.maxBytes,
      waiting: () => options.progress?.(`waiting for another process that writes ${model.name}`),
      build: async (folder) => {
        for (const { name, bytes } of encoded) {
          await writeFile(join(folder, `${name}.onnx`), bytes, { flush: true });
        }
        const file = join(folder, WEIGHTS_FILE);
        const content = await writeWeights(file, plan, params, source, throttled(model, plan, options));
        const files = Object.fromEntries(encoded.map((e) => [`${e.name}.onnx`, e.bytes.byteLength]));
        return {
          ...{ version: 2, key, model: model.name, precision },
          weights: { id, content, label, trained },
          files: { ...files, [WEIGHTS_FILE]: plan.fileBytes },
        };
      },
    });
    const { content } = manifest.weights;
    const origin = { id, content, label, trained };
    return Object.fromEntries(
      graphs.map(([name, graph], i) => {
        const sha256 = identity(content, name, encoded[i]!.bytes, own);
        return [name, artifactAt(model.name, name, graph, dir, sha256, origin)];
      }),
    );
  } finally {
    await source.close();
  }
}

function inPrecision(graph: Graph, precision: Precision): Graph {
  switch (precision) {
    case 'fp32':
      return graph;
    case 'fp16':
      return toHalf(graph);
    case 'int8':
      return quantise(graph, 8);
    case 'int4':
      return quantise(graph, 4);
  }
}

function artifactAt(
  model: string,
  graphName: string,
  graph: Graph,
  dir: string,
  sha256: string,
  origin: Origin,
): Artifact {
  return {
    model,
    graphName,
    path: join(dir, `${graphName}.onnx`),
    sha256,
    graph: async () => graph,
    weights: () => artifactWeights(join(dir, WEIGHTS_FILE), origin),
  };
}

interface Shared {
  /** What is stored. */
  readonly params: ReadonlyMap<string, Param>;
  /** The same as model and checkpoint have them: what is stored in blocks is one piece here. */
  readonly originals: ReadonlyMap<string, Param>;
}

/** Weights and buffers of all graphs by name. The same name must mean the same tensor everywhere. */
function sharedParams(model: string, graphs: readonly (readonly [string, Graph])[]): Shared {
  const params = new Map<string, Param>();
  const originals = new Map<string, Param>();
  for (const [graphName, graph] of graphs) {
    for (const param of graph.params) {
      if (param.role === 'constant') continue;
      const original = param.packed?.of ?? param;
      const { name, dtype, shape } = original;
      const other = originals.get(name);
      if (other && (other.dtype !== dtype || String(other.shape) !== String(shape))) {
        throw new VersusError(
          'input',
          `parameter ${name} is ${dtype} [${shape}] here and ${other.dtype} [${other.shape}] in another graph`,
          { where: `${model}, graph ${graphName}`, next: 'give different tensors different names' },
        );
      }
      if (!other) originals.set(name, original);
      if (!params.has(param.name)) params.set(param.name, param);
    }
  }
  return { params, originals };
}

function external(plan: Layout, graph: Graph): { location: string; offsets: Map<string, number> } {
  const wanted = new Set(graph.params.filter((p) => p.role !== 'constant').map((p) => p.name));
  const entries = plan.entries.filter((e) => wanted.has(e.name));
  return { location: WEIGHTS_FILE, offsets: new Map(entries.map((e) => [e.name, plan.dataStart + e.begin])) };
}

/** A graph's name becomes a file's. */
function checkGraphName(model: string, name: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name)) return;
  throw new VersusError('input', `${JSON.stringify(name)} cannot name a graph`, {
    where: model,
    next: 'use letters, digits, dots, dashes and underscores',
  });
}

/** Hash of the numbers that parameters bring themselves (a decoded graph's); the source's id says nothing of those. */
function ownData(params: ReadonlyMap<string, Param>): Uint8Array {
  const hash = createHash('sha256');
  for (const { name, data } of params.values()) {
    if (data) hash.update(name).update(toBytes(data));
  }
  return hash.digest();
}

function throttled(model: ModelDef, plan: Layout, { progress }: PrepareOptions): (done: number) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (done) => {
    const now = performance.now();
    if (!progress || now - last < PROGRESS_MS) return;
    last = now;
    progress(`weights of ${model.name}, ${Math.round((100 * done) / plan.fileBytes)}%`, done, plan.fileBytes);
  };
}
