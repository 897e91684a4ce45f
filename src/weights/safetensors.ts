import { constants } from 'node:buffer';
import { readSync } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { VersusError } from '../core/errors.ts';
import { type DType, fromBytes, type Tensor, type Tensors, tensor } from '../core/tensor.ts';
import { descriptorState, type FileState, handleState } from './file-state.ts';
import { MAX_HEADER_BYTES, parseHeader } from './header.ts';
import { findShards, mergeShards } from './shards.ts';

/** One tensor of a file: its type, and which bytes of which file hold it. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly file: string;
  /** Absolute offset in the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** An open safetensors file, or several that an index joins. Only headers are held in memory. */
export interface SafetensorsFile {
  /** As given to `openSafetensors`. */
  readonly path: string;
  /** The files behind it, absolute or relative as `path` is. */
  readonly files: readonly string[];
  /** What each of `files` was when it was opened, before anything was read of it. */
  readonly states: readonly FileState[];
  /** In file order. */
  readonly names: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  info(name: string): TensorInfo | undefined;
  /** One whole tensor. @throws VersusError `input` when there is none of that name or the file ends early. */
  read(name: string): Promise<Tensor>;
  /**
   * A tensor's bytes in pieces of at most `chunkBytes` (a multiple of 8). With `into`, every piece is a view of that
   * buffer and holds until the next one is asked for; without, each piece is a buffer of its own.
   */
  stream(name: string, chunkBytes?: number, into?: Uint8Array): AsyncIterable<Uint8Array>;
  /**
   * A tensor's bytes, read into `buffer` (a multiple of 8 long) again and again without leaving the thread: where pieces
   * are small and work follows each, handing every read to another thread would cost more than the read.
   */
  pieces(name: string, buffer: Uint8Array): Iterable<Uint8Array>;
  /** As `pieces`, into two buffers of one size in turn: while one is worked on, another thread reads into the other. */
  ahead(name: string, buffers: readonly [Uint8Array, Uint8Array]): AsyncIterable<Uint8Array>;
  /** @throws VersusError `input` when the file with this tensor was changed since it was opened. */
  requireUnchanged(name: string): void;
  close(): Promise<void>;
}

export const CHUNK_BYTES = 4 << 20;

/**
 * Opens a `.safetensors` file, a `*.safetensors.index.json` with its shards, or a folder that holds either. The header is
 * checked in full (see `parseHeader`); data is read only when asked for.
 * @throws VersusError `input`: not found, not a regular file, or not a valid safetensors file; says what is wrong.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const shards = await findShards(path);
  if (shards.kind === 'file') return openOne(shards.file);
  const opened: SafetensorsFile[] = [];
  try {
    for (const file of shards.files) opened.push(await openOne(file));
    return mergeShards(path, shards.weightMap, opened);
  } catch (error) {
    await Promise.all(opened.map((file) => file.close()));
    throw error;
  }
}

/** All tensors of a file in memory. @throws VersusError `input`. */
export async function readSafetensors(path: string): Promise<Tensors> {
  const file = await openSafetensors(path);
  try {
    const entries: [string, Tensor][] = [];
    for (const name of file.names) entries.push([name, await file.read(name)]);
    return Object.fromEntries(entries);
  } finally {
    await file.close();
  }
}

function invalid(path: string, problem: string, cause?: unknown): never {
  throw new VersusError('input', `not a valid safetensors file: ${problem}`, {
    where: path,
    next: 'check that the file is complete (download it again) and is in safetensors format',
    cause,
  });
}

async function openOne(path: string): Promise<SafetensorsFile> {
  // A pipe or a device would block in open(): look before.
  const kind = await stat(path).catch(() => null);
  if (!kind) throw new VersusError('input', 'there is no such safetensors file', { where: path });
  if (!kind.isFile()) throw new VersusError('input', 'not a regular file', { where: path });
  const handle = await open(path, 'r').catch((cause) => invalid(path, 'it cannot be read', cause));
  try {
    const state = await handleState(handle, await realpath(path));
    const { size } = state;
    const prefix = Buffer.alloc(8);
    if (size < 8) invalid(path, `${size} bytes are too few`);
    await readFully(handle, prefix, 0, path);
    const headerBytes = prefix.readBigUInt64LE();
    if (headerBytes > BigInt(MAX_HEADER_BYTES)) {
      invalid(path, `the header claims ${headerBytes} bytes, at most ${MAX_HEADER_BYTES} are allowed`);
    }
    const dataStart = 8 + Number(headerBytes);
    if (dataStart > size) invalid(path, `the header claims ${headerBytes} bytes, the file holds ${size}`);
    const raw = new Uint8Array(Number(headerBytes));
    await readFully(handle, raw, 8, path);
    const header = parseHeader(utf8(raw, path), size - dataStart, (problem) => invalid(path, problem));
    const infos = new Map<string, TensorInfo>();
    for (const { name, dtype, shape, begin, end } of header.tensors.values()) {
      infos.set(name, { name, dtype, shape, file: path, offset: dataStart + begin, bytes: end - begin });
    }
    return new OneFile(path, handle, state, header.metadata, infos);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function utf8(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    return invalid(path, 'the header is not UTF-8', cause);
  }
}

function endsEarly(path: string, at: number): never {
  return invalid(path, `it ends at byte ${at}; was it changed while it was read?`);
}

/** Reads until `into` is full: one read(2) returns at most 2 GiB. */
async function readFully(handle: FileHandle, into: Uint8Array, offset: number, path: string): Promise<void> {
  let done = 0;
  while (done < into.byteLength) {
    const length = Math.min(into.byteLength - done, 1 << 30);
    const { bytesRead } = await handle.read(into, done, length, offset + done);
    if (bytesRead === 0) endsEarly(path, offset + done);
    done += bytesRead;
  }
}

class OneFile implements SafetensorsFile {
  readonly path: string;
  readonly files: readonly string[];
  readonly states: readonly FileState[];
  readonly names: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  private readonly handle: FileHandle;
  private readonly state: FileState;
  private readonly infos: ReadonlyMap<string, TensorInfo>;

  constructor(
    path: string,
    handle: FileHandle,
    state: FileState,
    metadata: Readonly<Record<string, string>>,
    infos: ReadonlyMap<string, TensorInfo>,
  ) {
    this.path = path;
    this.files = [path];
    this.handle = handle;
    this.state = state;
    this.states = [state];
    this.metadata = metadata;
    this.infos = infos;
    this.names = [...infos.keys()];
  }

  info(name: string): TensorInfo | undefined {
    return this.infos.get(name);
  }

  async read(name: string): Promise<Tensor> {
    const { dtype, shape, offset, bytes } = this.need(name);
    if (bytes > constants.MAX_LENGTH) {
      invalid(this.path, `tensor ${JSON.stringify(name)} of ${bytes} bytes is too large to hold in memory`);
    }
    const data = new Uint8Array(bytes);
    await readFully(this.handle, data, offset, this.path);
    return tensor(dtype, shape, fromBytes(dtype, data));
  }

  async *stream(name: string, chunkBytes = CHUNK_BYTES, into?: Uint8Array): AsyncIterable<Uint8Array> {
    const { offset, bytes } = this.need(name);
    const room = into ? Math.min(chunkBytes, into.byteLength) : chunkBytes;
    const step = room - (room % 8);
    if (step === 0) throw new RangeError(`a chunk of ${room} bytes is smaller than the largest element`);
    for (let done = 0; done < bytes; done += step) {
      const length = Math.min(step, bytes - done);
      const chunk = into ? into.subarray(0, length) : new Uint8Array(length);
      await readFully(this.handle, chunk, offset + done, this.path);
      yield chunk;
    }
  }

  *pieces(name: string, buffer: Uint8Array): Generator<Uint8Array, void> {
    const { offset, bytes } = this.need(name);
    for (let done = 0; done < bytes; done += buffer.byteLength) {
      const piece = buffer.subarray(0, Math.min(buffer.byteLength, bytes - done));
      for (let at = 0; at < piece.byteLength; ) {
        const from = offset + done + at;
        const got = readSync(this.handle.fd, piece, at, piece.byteLength - at, from);
        if (got === 0) endsEarly(this.path, from);
        at += got;
      }
      yield piece;
    }
  }

  async *ahead(name: string, buffers: readonly [Uint8Array, Uint8Array]): AsyncGenerator<Uint8Array, void> {
    const { offset, bytes } = this.need(name);
    const step = buffers[0].byteLength;
    const read = (done: number): Promise<Uint8Array> => {
      const piece = buffers[(done / step) % 2]!.subarray(0, Math.min(step, bytes - done));
      const reading = readFully(this.handle, piece, offset + done, this.path).then(() => piece);
      // It may fail while the piece before is still worked on; who asks for this one is told.
      reading.catch(() => {});
      return reading;
    };
    let next = bytes > 0 ? read(0) : null;
    try {
      for (let done = step; next; done += step) {
        const piece = await next;
        next = done < bytes ? read(done) : null;
        yield piece;
      }
    } finally {
      // Whoever stops early gives the buffers to others: nothing may be written to them then.
      await next?.catch(() => {});
    }
  }

  requireUnchanged(name: string): void {
    this.need(name);
    const { real, text } = this.state;
    if (descriptorState(this.handle.fd, real).text === text) return;
    throw new VersusError('input', 'the file was changed while it was read', {
      where: this.path,
      next: 'run again once nothing writes to it any more',
    });
  }

  close(): Promise<void> {
    return this.handle.close();
  }

  private need(name: string): TensorInfo {
    const info = this.infos.get(name);
    if (!info) {
      throw new VersusError('input', `there is no tensor ${JSON.stringify(name)}`, { where: this.path });
    }
    return info;
  }
}
