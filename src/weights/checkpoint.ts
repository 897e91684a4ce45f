import { resolve } from 'node:path';
import { VersusError } from '../core/errors.ts';
import type { Param } from '../core/graph.ts';
import type { WeightSource, WeightSpec } from '../core/model.ts';
import { bytesPerElement, elementCount } from '../core/tensor.ts';
import { identityOf, openSettled } from './checkpoint-identity.ts';
import { EMBEDDING, matchNames } from './checkpoint-names.ts';
import { convert, convertible, isWidening, repeated } from './convert.ts';
import { ignorableTensor, zeroWhereAbsent } from './ignorable.ts';
import { CHUNK_BYTES, type SafetensorsFile } from './safetensors.ts';
import { borrowWidener, giveBack, type Narrow } from './widen.ts';

/** Converted at a time: with its result it stays in a core's own cache. */
const CONVERTED_BYTES = 512 << 10;

export interface CheckpointOptions {
  /** `ignore` accepts a checkpoint of which the model uses only a part, e.g. one tower of CLIP. */
  readonly unexpected?: 'refuse' | 'ignore';
}

/**
 * The weights of a real checkpoint: a `.safetensors` file, a `*.safetensors.index.json`, or a folder in the Hugging Face
 * layout. Tensors carry the reference implementation's names, give or take a usual prefix (README.md); fp32, fp16, bf16
 * and fp64 are converted to each parameter's type while they stream. Where the model ties its output projection to the
 * input embedding, the file may hold both, if they are equal; where it doesn't, the file must.
 * @throws VersusError `input` (when opened): every missing, unexpected or unfit tensor in one message.
 */
export function safetensors(path: string, options: CheckpointOptions = {}): WeightSpec {
  const label = `safetensors(${path})`;
  return {
    ...{ label, path: resolve(path) },
    open: (params) => openCheckpoint(resolve(path), params, options, { label }),
  };
}

/** What a checkpoint is called, and its identity where that is known by better means than which files these are. */
export interface Identity {
  readonly label: string;
  readonly id?: string;
}

/** Opens a checkpoint for a model's parameters: its headers are read, and no number. */
export async function openCheckpoint(
  path: string,
  params: readonly Param[],
  options: CheckpointOptions,
  { label, id }: Identity,
): Promise<WeightSource> {
  const file = await openSettled(path);
  try {
    const names = await match(file, params, options);
    return source(file, names, id ?? identityOf(file, names), label);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function source(
  file: SafetensorsFile,
  names: ReadonlyMap<string, string>,
  id: string,
  label: string,
): WeightSource {
  return {
    id,
    label,
    trained: true,
    read: (param, into) => {
      const name = names.get(param.name);
      if (name === undefined && zeroWhereAbsent(param.name)) return zeros(param);
      if (name === undefined) {
        throw new VersusError('input', `the checkpoint was not opened for ${JSON.stringify(param.name)}`, {
          where: file.path,
        });
      }
      return readAs(file, name, param, into);
    },
    close: () => file.close(),
  };
}

async function* zeros(param: Param): AsyncGenerator<Uint8Array, void> {
  yield repeated(param.dtype, 0, elementCount(param.shape));
}

async function* readAs(
  file: SafetensorsFile,
  name: string,
  param: Param,
  into?: Uint8Array,
): AsyncGenerator<Uint8Array, void> {
  const info = file.info(name)!;
  const { dtype } = info;
  if (dtype === param.dtype) yield* file.stream(name, CHUNK_BYTES, into);
  else if (isWidening(dtype, param.dtype)) yield* widened(file, name, dtype);
  else {
    const elements = into ? Math.floor(into.byteLength / bytesPerElement(param.dtype)) : CHUNK_BYTES;
    const room = (elements - (elements % 8)) * bytesPerElement(dtype);
    const bytes = Math.min(CONVERTED_BYTES, room, Math.ceil(info.bytes / 8) * 8 || 8);
    if (bytes < 8) throw new RangeError('a buffer for weights needs room for eight elements');
    for (const chunk of file.pieces(name, new Uint8Array(bytes))) {
      yield convert(dtype, param.dtype, chunk, into);
    }
  }
  file.requireUnchanged(name);
}

/** Read into the widener's memory by another thread, while what was read before is used where the widener leaves its results. */
async function* widened(file: SafetensorsFile, name: string, from: Narrow): AsyncGenerator<Uint8Array, void> {
  const widener = borrowWidener();
  try {
    for await (const piece of file.ahead(name, widener.sources)) yield* widener.widen(from, piece);
  } finally {
    giveBack(widener);
  }
}

/** Parameter name → tensor name for every parameter, or one error that says all that is wrong. */
async function match(
  file: SafetensorsFile,
  params: readonly Param[],
  options: CheckpointOptions,
): Promise<ReadonlyMap<string, string>> {
  const found = matchNames(
    params.map((p) => p.name),
    file.names,
  );
  const { names } = found;
  const missing: string[] = [];
  const unfit: string[] = [];
  for (const param of params) {
    const name = names.get(param.name);
    const info = name === undefined ? undefined : file.info(name);
    if (name === undefined && zeroWhereAbsent(param.name)) continue;
    if (name === undefined || !info) {
      missing.push(`${param.name} [${param.shape}]`);
      continue;
    }
    if (info.shape.length !== param.shape.length || info.shape.some((d, i) => d !== param.shape[i])) {
      unfit.push(`${param.name}: the model has [${param.shape}], the file [${info.shape}]`);
    } else if (!convertible(info.dtype, param.dtype)) {
      unfit.push(`${param.name}: the model has ${param.dtype}, the file ${info.dtype}`);
    }
  }
  const used = new Set(names.values());
  const unexpected: string[] = [];
  for (const name of file.names) {
    if (used.has(name) || ignorableTensor(name) || (await repeatsEmbedding(file, name, used))) continue;
    unexpected.push(`${name} [${file.info(name)!.shape}]`);
  }
  const strict = options.unexpected !== 'ignore';
  if (missing.length > 0 || unfit.length > 0 || (strict && unexpected.length > 0)) {
    throw misfit(file, { missing, unexpected: strict ? unexpected : [], unfit }, found.label, params.length);
  }
  return names;
}

/** A head or embedding that the model ties and the file holds once more is fine when it holds the same numbers. */
async function repeatsEmbedding(
  file: SafetensorsFile,
  name: string,
  used: ReadonlySet<string>,
): Promise<boolean> {
  const copy = file.info(name)!;
  if (!EMBEDDING.test(name)) return false;
  for (const other of used) {
    const embedding = file.info(other)!;
    if (!EMBEDDING.test(other) || embedding.bytes !== copy.bytes || embedding.dtype !== copy.dtype) continue;
    if (String(embedding.shape) === String(copy.shape) && (await equalBytes(file, name, other))) return true;
  }
  return false;
}

async function equalBytes(file: SafetensorsFile, a: string, b: string): Promise<boolean> {
  const other = file.stream(b, CHUNK_BYTES, new Uint8Array(CHUNK_BYTES))[Symbol.asyncIterator]();
  for await (const chunk of file.stream(a, CHUNK_BYTES, new Uint8Array(CHUNK_BYTES))) {
    const twin = await other.next();
    if (twin.done || !Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).equals(twin.value))
      return false;
  }
  return true;
}

function misfit(
  file: SafetensorsFile,
  problems: Readonly<Record<'missing' | 'unexpected' | 'unfit', readonly string[]>>,
  spelling: string,
  total: number,
): VersusError {
  const LISTED = 8;
  const parts = Object.entries(problems)
    .filter(([, list]) => list.length > 0)
    .map(([kind, list]) => {
      const rest = list.length > LISTED ? `; and ${list.length - LISTED} more` : '';
      return `${list.length} ${kind} (${list.slice(0, LISTED).join('; ')}${rest})`;
    });
  const how = spelling === '' ? '' : ` (names ${spelling})`;
  return new VersusError(
    'input',
    `the checkpoint doesn't fit the model's ${total} tensors${how}: ${parts.join(', ')}`,
    {
      where: file.path,
      next: "bring the checkpoint of this architecture and size (pretrained(folder) reads them from its config.json); { unexpected: 'ignore' } accepts tensors that the model has no use for",
    },
  );
}
