import { bytesPerElement, type DType } from '../core/tensor.ts';
import { HeaderScanner } from './header-scanner.ts';

/** Where one tensor lies: byte range relative to the start of the data section. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  /** In order of their offsets. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The limit of the format's reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;
/** More than any published checkpoint has in one file; bounds the memory that a hostile header can take. */
const MAX_TENSORS = 1 << 18;
const MAX_METADATA = 1 << 16;
const MAX_RANK = 64;

const DTYPE_OF: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U64', 'uint64'],
  ['U32', 'uint32'],
  ['U16', 'uint16'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
]);
const NAME_OF = new Map([...DTYPE_OF].map(([name, dtype]) => [dtype, name]));

/**
 * Parses and checks a safetensors header (format: huggingface/safetensors, README "Format"): known dtypes, sane shapes,
 * byte ranges that equal shape × dtype and cover the data section without holes or overlaps, no duplicate names.
 *
 * @param text the header's JSON
 * @param dataBytes size of the data section that follows
 * @param fail called with the first problem; must throw
 */
export function parseHeader(text: string, dataBytes: number, fail: (problem: string) => never): Header {
  const scanner = new HeaderScanner(text, fail);
  const metadata = new Map<string, string>();
  const entries: TensorEntry[] = [];
  const seen = new Set<string>();
  scanner.object((name) => {
    if (seen.has(name)) fail(`${JSON.stringify(name)} stands twice in the header`);
    seen.add(name);
    if (name === '__metadata__') {
      scanner.object((key) => {
        if (metadata.size === MAX_METADATA) fail(`more than ${MAX_METADATA} metadata entries`);
        metadata.set(key, scanner.string());
      });
      return;
    }
    if (entries.length === MAX_TENSORS) fail(`more than ${MAX_TENSORS} tensors in one file`);
    entries.push(parseEntry(scanner, name, fail));
  });
  scanner.end();
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const e of entries) {
    if (e.begin !== covered) {
      const kind = e.begin < covered ? 'overlaps the tensor before it' : 'leaves a hole before it';
      fail(`tensor ${JSON.stringify(e.name)} at [${e.begin}, ${e.end}) ${kind} (expected start ${covered})`);
    }
    covered = e.end;
  }
  if (covered !== dataBytes) {
    fail(`the header describes ${covered} bytes of data, the file holds ${dataBytes}`);
  }
  return {
    tensors: new Map(entries.map((e) => [e.name, e])),
    metadata: Object.fromEntries(metadata),
  };
}

function parseEntry(scanner: HeaderScanner, name: string, fail: (problem: string) => never): TensorEntry {
  const quoted = JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
  if (name === '' || /\p{Surrogate}/u.test(name)) fail(`tensor name ${quoted} is not valid text`);
  let dtypeName: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  scanner.object((field) => {
    if (field === 'dtype' && dtypeName === undefined) dtypeName = scanner.string();
    else if (field === 'shape' && shape === undefined) shape = scanner.integers(MAX_RANK);
    else if (field === 'data_offsets' && offsets === undefined) offsets = scanner.integers(2);
    else fail(`unexpected field ${JSON.stringify(field.slice(0, 80))} in tensor ${quoted}`);
  });
  if (dtypeName === undefined || shape === undefined || offsets?.length !== 2) {
    return fail(`tensor ${quoted} lacks dtype, shape or two data_offsets`);
  }
  const dtype = DTYPE_OF.get(dtypeName);
  if (!dtype) return fail(`tensor ${quoted} has dtype ${JSON.stringify(dtypeName)}, which is not supported`);
  let bytes = bytesPerElement(dtype);
  for (const d of shape as number[]) bytes *= d;
  const [begin, end] = offsets as [number, number];
  if (!Number.isSafeInteger(bytes)) fail(`tensor ${quoted} has a shape beyond 2^53 bytes`);
  if (end < begin || end - begin !== bytes) {
    fail(
      `tensor ${quoted} of ${bytes} bytes (${dtypeName} [${shape}]) is given the range [${begin}, ${end})`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** A file's layout, known before its first byte of data is. */
export interface Layout {
  /** Length prefix and JSON, padded with spaces so that the data starts at a multiple of 4096. */
  readonly header: Uint8Array;
  /** In file order. */
  readonly entries: readonly TensorEntry[];
  /** Absolute offset of the data section. */
  readonly dataStart: number;
  readonly fileBytes: number;
}

const DATA_ALIGNMENT = 4096;

/** Largest power of two, up to 4096, that divides a byte count. */
function granularity(bytes: number): number {
  let g = 1;
  while (g < DATA_ALIGNMENT && bytes % (g * 2) === 0) g *= 2;
  return g;
}

/**
 * Lays tensors out. The order depends on the set of tensors only: by falling power of two that divides their size, then by
 * name. So without any padding every tensor starts at a multiple of the power of two (up to 4096) in its own size, which is
 * what memory mapping and vector loads want, and the same tensors give the same bytes.
 */
export function layout(
  tensors: Iterable<{ readonly name: string; readonly dtype: DType; readonly shape: readonly number[] }>,
  metadata: Readonly<Record<string, string>> = {},
): Layout {
  const sized = [...tensors].map(({ name, dtype, shape }) => {
    const bytes = shape.reduce((n, d) => n * d, bytesPerElement(dtype));
    return { name, dtype, shape, bytes, granularity: granularity(bytes) };
  });
  sized.sort((a, b) => b.granularity - a.granularity || (a.name < b.name ? -1 : 1));
  const parts: string[] = [];
  const meta = Object.keys(metadata).sort();
  if (meta.length > 0) {
    parts.push(`"__metadata__":${JSON.stringify(Object.fromEntries(meta.map((k) => [k, metadata[k]])))}`);
  }
  const entries: TensorEntry[] = [];
  let offset = 0;
  for (const { name, dtype, shape, bytes } of sized) {
    const entry = { name, dtype, shape, begin: offset, end: offset + bytes };
    offset = entry.end;
    entries.push(entry);
    const fields = { dtype: NAME_OF.get(dtype), shape, data_offsets: [entry.begin, entry.end] };
    parts.push(`${JSON.stringify(name)}:${JSON.stringify(fields)}`);
  }
  const json = Buffer.from(`{${parts.join(',')}}`);
  const dataStart = Math.ceil((8 + json.length) / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  const header = Buffer.alloc(dataStart, ' ');
  header.writeBigUInt64LE(BigInt(dataStart - 8));
  json.copy(header, 8);
  return { header, entries, dataStart, fileBytes: dataStart + offset };
}
