import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { Precision } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { Artifact, WeightSource } from '../core/model.ts';
import { openOnnx } from '../graph/onnx/index.ts';
import { hashFile } from './file-hash.ts';

const BITS: Readonly<Partial<Record<Precision, number>>> = { int8: 8, int4: 4 };

export interface ForeignOptions {
  readonly cacheDir: string;
  readonly precision: Precision;
  /** Where the files come from, for people; each file's own name when left out. */
  readonly label?: string;
  /** Looks at a file's structure, and throws where it is not what it should be. */
  readonly check?: (graphName: string, graph: Graph, path: string) => void;
}

/**
 * Artifacts of a user's own ONNX files, used where they lie. Only structure is held in memory; identity is a hash of the
 * content, so it is the same on every machine, and is remembered for files that don't change.
 * @throws VersusError as `openOnnx` and `check`; `unsupported` when a precision is asked of a file that is in another
 */
export async function foreignArtifacts(
  model: string,
  files: Readonly<Record<string, string>>,
  { cacheDir, precision, label, check }: ForeignOptions,
): Promise<Record<string, Artifact>> {
  const named = (source: WeightSource): WeightSource => (label === undefined ? source : { ...source, label });
  const artifacts: Record<string, Artifact> = {};
  for (const [graphName, file] of Object.entries(files)) {
    const path = resolve(file);
    const { graph, weights, files: parts } = await openOnnx(path);
    try {
      check?.(graphName, graph, path);
      if (precision === 'fp16' && !graph.params.some((p) => p.dtype === 'float16')) {
        throw unlike(path, 'half precision', precision);
      }
      if (
        BITS[precision] &&
        !graph.nodes.some((n) => n.op === 'MatMulNBits' && n.attrs.bits === BITS[precision])
      )
        throw unlike(path, `blocks of ${BITS[precision]}-bit weights`, precision);
      artifacts[graphName] = {
        model,
        graphName,
        path,
        sha256: await contentHash(parts, cacheDir),
        foreign: true,
        graph: async () => graph,
        weights: async () => named((await openOnnx(path)).weights),
      };
    } finally {
      await weights.close();
    }
  }
  return artifacts;
}

/** Over the model's file and every file that its large initialisers lie in, in the order in which it names them. */
async function contentHash(files: readonly string[], cacheDir: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) hash.update(await hashFile(file, cacheDir));
  return hash.digest('hex');
}

function unlike(path: string, wanted: string, precision: Precision): VersusError {
  return new VersusError('unsupported', `an ONNX file is used as it is, and this one is not in ${wanted}`, {
    where: path,
    next: `export the model in ${precision}, or run it in fp32`,
  });
}
