import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, realpathSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { reasonOf, VersusError } from '../../core/errors.ts';
import type { Graph, Param } from '../../core/graph.ts';
import type { WeightSource } from '../../core/model.ts';
import { toBytes } from '../../core/tensor.ts';
import { decodeModel } from './decode.ts';
import { type ResolvedRange, resolveExternal } from './external.ts';
import { IN_THIS_FILE, skeletonOf } from './scan.ts';
import type { ExternalRange } from './tensor.ts';

const CHUNK = 4 * 1024 * 1024;

/**
 * Opens an ONNX file. The structure and initialisers of up to 4 KiB are read at once; larger ones, inline or in external
 * files inside the model's folder, have no `data` and are read on demand through `weights`, a few MiB at a time. All places
 * are checked here, so that reading can only fail when a file changes meanwhile.
 *
 * `weights.read(param)` wants a parameter of the graph with its own dtype and shape, and yields its little-endian bytes.
 * `files` are all that the model consists of, itself first, with links resolved; `places` is where each parameter without
 * `data` lies in them.
 * `weights.id` identifies structure, small initialisers, and the files with large ones by inode, size and times.
 *
 * @throws VersusError `usage` when the file is missing, `input` or `unsupported` when it is not a model that we can run
 */
export async function openOnnx(path: string): Promise<{
  graph: Graph;
  weights: WeightSource;
  files: readonly string[];
  places: ReadonlyMap<string, ResolvedRange>;
}> {
  let file: string;
  let skeleton: Uint8Array;
  let size = 0;
  let fd = -1;
  try {
    file = realpathSync(path);
    fd = openSync(file, 'r');
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new VersusError('usage', 'it is not a file', { where: path });
    size = stat.size;
    skeleton = skeletonOf(fd, size);
  } catch (error) {
    if (error instanceof VersusError) {
      throw new VersusError(error.kind, error.message, {
        where: error.where ? `${path}, ${error.where}` : path,
        cause: error,
      });
    }
    throw new VersusError('usage', `the ONNX file can't be read: ${reasonOf(error)}`, {
      where: path,
      cause: error,
    });
  } finally {
    if (fd >= 0) closeSync(fd);
  }
  const { graph, external } = decodeModel(skeleton, path);
  const ranges = new Map<string, ResolvedRange>();
  for (const [name, range] of external) {
    const inside = range.location === IN_THIS_FILE;
    ranges.set(name, inside ? ownRange(file, size, range) : resolveExternal(dirname(file), name, range));
  }
  const files = [...new Set([file, ...[...ranges.values()].map((range) => range.path)])];
  return { graph, weights: source(path, graph, ranges, skeleton), files, places: ranges };
}

/** A foreign file may name `IN_THIS_FILE` too, so the range is checked like any other. */
function ownRange(path: string, size: number, { offset, length }: ExternalRange): ResolvedRange {
  if (offset + length > size)
    throw new VersusError('input', 'data beyond the end of the file', { where: path });
  return { path, offset, length };
}

function source(
  path: string,
  graph: Graph,
  ranges: ReadonlyMap<string, ResolvedRange>,
  skeleton: Uint8Array,
): WeightSource {
  const hash = createHash('sha256').update(skeleton);
  for (const file of new Set([...ranges.values()].map((r) => r.path))) {
    const { ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    hash.update(`${file}|${ino}|${size}|${mtimeNs}|${ctimeNs}`);
  }
  const params = new Map(graph.params.map((p) => [p.name, p]));
  const handles = new Map<string, Promise<FileHandle>>();
  const handleOf = (file: string): Promise<FileHandle> => {
    const handle = handles.get(file) ?? open(file, 'r');
    handles.set(file, handle);
    return handle;
  };
  async function* read(param: Param): AsyncGenerator<Uint8Array> {
    const own = params.get(param.name);
    if (own?.dtype !== param.dtype || own.shape.join() !== param.shape.join()) {
      const stored = own ? `${own.dtype}[${own.shape.join(', ')}]` : 'missing';
      throw new VersusError('input', `parameter ${param.name} is ${stored} in the file`, { where: path });
    }
    if (own.data) {
      yield toBytes(own.data);
      return;
    }
    const { path: file, offset, length } = ranges.get(param.name)!;
    const handle = await handleOf(file);
    for (let done = 0; done < length; ) {
      const chunk = new Uint8Array(Math.min(CHUNK, length - done));
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, offset + done);
      if (bytesRead === 0)
        throw new VersusError('input', `${file} became shorter while it was read`, { where: path });
      done += bytesRead;
      yield bytesRead === chunk.length ? chunk : chunk.subarray(0, bytesRead);
    }
  }
  return {
    id: `onnx:${hash.digest('hex')}`,
    label: `onnx(${basename(path)})`,
    trained: true,
    read,
    async close() {
      const open = [...handles.values()];
      handles.clear();
      await Promise.all(open.map(async (h) => (await h).close()));
    },
  };
}
