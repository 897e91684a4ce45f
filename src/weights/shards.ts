import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { VersusError } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { contained } from './contained.ts';
import type { SafetensorsFile } from './safetensors.ts';

const MAX_INDEX_BYTES = 64 << 20;
const MAX_SHARDS = 4096;

/** What lies behind a path: one file, or an index that says which file holds which tensor. */
export type Shards =
  | { readonly kind: 'file'; readonly file: string }
  | {
      readonly kind: 'index';
      readonly files: readonly string[];
      readonly weightMap: ReadonlyMap<string, string>;
    };

const Index = z.object({ weight_map: z.record(z.string(), z.string()) });

/**
 * Resolves a path the way the Hugging Face layout does: a file as it is; a folder by `model.safetensors`, then
 * `model.safetensors.index.json`, then its only `.safetensors` file. Names in an index must be plain file names, and no links
 * that lead elsewhere, so that no index leads out of its folder.
 */
export async function findShards(path: string): Promise<Shards> {
  const kind = await stat(path).catch(() => null);
  if (kind?.isDirectory()) return findShards(await fileIn(path));
  if (!path.endsWith('.json')) return { kind: 'file', file: path };
  if (!kind?.isFile()) throw new VersusError('input', 'there is no such index', { where: path });
  return readIndex(path, kind.size);
}

async function fileIn(folder: string): Promise<string> {
  const names = (await readdir(folder)).sort();
  for (const usual of ['model.safetensors', 'model.safetensors.index.json']) {
    if (names.includes(usual)) return join(folder, usual);
  }
  const candidates = names.filter((n) => n.endsWith('.safetensors') || n.endsWith('.safetensors.index.json'));
  if (candidates.length === 1) return join(folder, candidates[0]!);
  throw new VersusError(
    'input',
    candidates.length === 0
      ? 'the folder holds no safetensors file'
      : 'the folder holds several safetensors files and no model.safetensors',
    { where: folder, next: 'name the file itself' },
  );
}

async function readIndex(path: string, size: number): Promise<Shards> {
  const refuse = (problem: string, cause?: unknown): never => {
    throw new VersusError('input', `not a valid safetensors index: ${problem}`, { where: path, cause });
  };
  if (size > MAX_INDEX_BYTES) refuse(`${size} bytes are more than ${MAX_INDEX_BYTES}`);
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    refuse('it is not JSON', cause);
  }
  const parsed = Index.safeParse(json);
  if (!parsed.success) return refuse('"weight_map" must map tensor names to file names');
  const weightMap = new Map(Object.entries(parsed.data.weight_map));
  const names = new Set(weightMap.values());
  if (names.size === 0) refuse('"weight_map" is empty');
  if (names.size > MAX_SHARDS) refuse(`${names.size} files are more than ${MAX_SHARDS}`);
  for (const name of names) {
    if (basename(name) !== name || /[\\/\0]/.test(name) || !name.endsWith('.safetensors')) {
      refuse(`${JSON.stringify(name)} is not the name of a safetensors file in the index's folder`);
    }
  }
  const folder = dirname(path);
  for (const name of names) await contained(folder, name);
  return {
    kind: 'index',
    files: [...names].sort().map((name) => join(folder, name)),
    weightMap: new Map([...weightMap].map(([tensor, name]) => [tensor, join(folder, name)])),
  };
}

/** Several open files as one; every tensor must lie in the file that the index names. */
export function mergeShards(
  path: string,
  weightMap: ReadonlyMap<string, string>,
  opened: readonly SafetensorsFile[],
): SafetensorsFile {
  const holder = new Map<string, SafetensorsFile>();
  for (const file of opened) {
    for (const name of file.names) {
      if (weightMap.get(name) === file.path) holder.set(name, file);
    }
  }
  for (const [name, file] of weightMap) {
    if (!holder.has(name)) {
      throw new VersusError(
        'input',
        `${file} lacks tensor ${JSON.stringify(name)}, which the index promises`,
        {
          where: path,
        },
      );
    }
  }
  const need = (name: string): SafetensorsFile => {
    const file = holder.get(name);
    if (!file) throw new VersusError('input', `there is no tensor ${JSON.stringify(name)}`, { where: path });
    return file;
  };
  return {
    path,
    files: opened.map((file) => file.path),
    states: opened.flatMap((file) => file.states),
    names: [...holder.keys()],
    metadata: Object.assign({}, ...opened.map((file) => file.metadata)) as Record<string, string>,
    info: (name) => holder.get(name)?.info(name),
    read: async (name): Promise<Tensor> => need(name).read(name),
    stream: (name, chunkBytes, into) => need(name).stream(name, chunkBytes, into),
    pieces: (name, buffer) => need(name).pieces(name, buffer),
    ahead: (name, buffers) => need(name).ahead(name, buffers),
    requireUnchanged: (name) => need(name).requireUnchanged(name),
    close: async () => {
      await Promise.all(opened.map((file) => file.close()));
    },
  };
}
