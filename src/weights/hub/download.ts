import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { VersusError } from '../../core/errors.ts';
import { type HubClient, Passing } from './client.ts';
import type { HubFile } from './listing.ts';

export interface Target {
  /** Where the file goes when it is whole and right. */
  readonly path: string;
  /** Where it grows; what an interrupted download left there is continued. */
  readonly partial: string;
}

/**
 * Brings one file: what is there of it is kept and the rest asked for, its hash is computed on the way, and only a file of
 * the right size and hash gets its name.
 * @param progress called with the bytes that are there
 * @throws VersusError `input` for other content than the listing promises, `infrastructure` when the network gives up
 */
export async function download(
  client: HubClient,
  url: string,
  file: HubFile,
  target: Target,
  progress: (bytes: number) => void,
): Promise<void> {
  await mkdir(dirname(target.partial), { recursive: true });
  const handle = await open(target.partial, 'a+');
  try {
    const growing = await Growing.resume(handle, target.partial, file);
    const resumed = growing.bytes > 0;
    await fill(client, url, file, growing, progress);
    if (resumed && growing.digest() !== file.hash) {
      // What was there may have been damaged; only a whole download says that the hub is wrong.
      await growing.restart();
      await fill(client, url, file, growing, progress);
    }
    const found = growing.digest();
    if (found !== file.hash) throw wrongHash(file, url, found);
    await handle.sync();
  } catch (error) {
    await handle.close();
    // Wrong bytes are no start for another try; right ones are.
    if (error instanceof VersusError && error.kind === 'input') await rm(target.partial, { force: true });
    throw error;
  }
  await handle.close();
  await mkdir(dirname(target.path), { recursive: true });
  await rename(target.partial, target.path);
}

/** Asks for what is missing until nothing is. */
async function fill(
  client: HubClient,
  url: string,
  file: HubFile,
  growing: Growing,
  progress: (bytes: number) => void,
): Promise<void> {
  const what = `downloading ${file.path}`;
  progress(growing.bytes);
  await client.again(what, async (headway) => {
    if (growing.bytes === file.bytes) return;
    const response = await client.request(url, what, growing.bytes);
    if (!continues(response, growing.bytes)) await growing.restart();
    if (response.status === 416) {
      await response.body?.cancel().catch(() => {});
      throw new Passing('the hub has fewer bytes than it lists');
    }
    for await (const part of client.body(response)) {
      if (growing.bytes + part.byteLength > file.bytes) throw tooLong(file, url);
      await growing.append(part);
      headway();
      progress(growing.bytes);
    }
    if (growing.bytes < file.bytes) throw new Passing('the connection ended early');
  });
}

/** Whether an answer goes on at the byte that was asked for; a server may send the whole file instead. */
function continues(response: Response, from: number): boolean {
  if (response.status !== 206) return from === 0 && response.status !== 416;
  const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
  if (Number(start) === from) return true;
  throw new Passing('the hub sends another range than was asked for');
}

/** A file that grows, and the hash of what there is of it. */
class Growing {
  bytes = 0;
  #hash: Hash;
  readonly #handle: FileHandle;
  readonly #file: HubFile;

  private constructor(handle: FileHandle, file: HubFile) {
    this.#handle = handle;
    this.#file = file;
    this.#hash = freshHash(file);
  }

  static async resume(handle: FileHandle, path: string, file: HubFile): Promise<Growing> {
    const growing = new Growing(handle, file);
    const { size } = await stat(path);
    if (size > file.bytes) {
      await growing.restart();
      return growing;
    }
    for await (const part of createReadStream(path, { highWaterMark: 4 << 20 })) {
      growing.#hash.update(part as Buffer);
      growing.bytes += (part as Buffer).byteLength;
    }
    return growing;
  }

  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.bytes = 0;
    this.#hash = freshHash(this.#file);
  }

  async append(part: Uint8Array): Promise<void> {
    for (let done = 0; done < part.byteLength; ) {
      done += (await this.#handle.write(part, done, part.byteLength - done, null)).bytesWritten;
    }
    this.#hash.update(part);
    this.bytes += part.byteLength;
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }
}

/** Git names a blob by the SHA-1 of a header with its size and its bytes. */
function freshHash({ hash, bytes }: HubFile): Hash {
  return hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`);
}

function wrongHash(file: HubFile, url: string, found: string): VersusError {
  return new VersusError(
    'input',
    `${file.path} is not what the hub lists: its hash is ${found}, not ${file.hash}`,
    {
      where: url,
      next: 'run again; if it stays so, a mirror or proxy gives out something else (HF_ENDPOINT)',
    },
  );
}

function tooLong(file: HubFile, url: string): VersusError {
  return new VersusError('input', `${file.path} is longer than the ${file.bytes} bytes that the hub lists`, {
    where: url,
    next: 'run again; if it stays so, a mirror or proxy gives out something else (HF_ENDPOINT)',
  });
}
