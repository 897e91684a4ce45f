import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { VersusError } from '../core/errors.ts';
import { type Tensors, toBytes } from '../core/tensor.ts';
import { type Layout, layout, type TensorEntry } from './header.ts';

/** Adds bytes to what was written of a tensor. */
export type Append = (name: string, bytes: Uint8Array) => Promise<void>;

/**
 * Writes tensors to a file, atomically: other processes see the old file or the whole new one. Equal tensors and metadata
 * give equal bytes; the data section starts at a multiple of 4096.
 * @throws VersusError `infrastructure` when the disk is full or the place cannot be written.
 */
export async function writeSafetensors(
  path: string,
  tensors: Tensors,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const names = Object.keys(tensors);
  const plan = layout(
    names.map((name) => ({ name, dtype: tensors[name]!.dtype, shape: tensors[name]!.shape })),
    metadata,
  );
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    await streamSafetensors(temporary, plan, async (append) => {
      for (const name of names) await append(name, toBytes(tensors[name]!.data));
    });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw writeFailure(path, error);
  }
}

/**
 * Writes a file whose layout is known and waits until it is on the disk (fsync).
 * @param write appends the bytes of every tensor, to one or several at a time; in all exactly as many as its entry says
 * @param progress called with the bytes of the file written so far
 */
export async function streamSafetensors(
  path: string,
  plan: Layout,
  write: (append: Append) => Promise<void>,
  progress?: (bytesDone: number) => void,
): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    await writeFully(handle, plan.header, 0);
    const entries = new Map(plan.entries.map((entry) => [entry.name, { entry, at: entry.begin }]));
    let done = plan.dataStart;
    await write(async (name, bytes) => {
      const place = entries.get(name)!;
      if (place.at + bytes.byteLength > place.entry.end) throw wrongLength(place.entry, 'more');
      await writeFully(handle, bytes, plan.dataStart + place.at);
      place.at += bytes.byteLength;
      done += bytes.byteLength;
      progress?.(done);
    });
    for (const { entry, at } of entries.values()) if (at !== entry.end) throw wrongLength(entry, 'fewer');
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - done, 1 << 30);
    done += (await handle.write(bytes, done, length, offset + done)).bytesWritten;
  }
}

function wrongLength(entry: TensorEntry, word: string): VersusError {
  return new VersusError(
    'input',
    `the weight source gave ${word} bytes for ${JSON.stringify(entry.name)} than the ${entry.end - entry.begin} of its shape`,
  );
}

/** Turns what the file system says while writing into an error with a next step. */
export function writeFailure(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new VersusError('infrastructure', 'the disk is full', {
      where: path,
      next: 'free some space, or set cache.dir in bench.config.ts to a larger disk',
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR' || code === 'ENOENT') {
    return new VersusError('infrastructure', `cannot write here (${code})`, {
      where: path,
      next: 'check that the folder exists and is writable',
      cause: error,
    });
  }
  return error;
}
