import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { VersusError } from '../../core/errors.ts';
import type { WeightOptions } from '../../core/model.ts';
import { lockOrWait } from '../build-lock.ts';
import { DOWNLOADS } from '../cache.ts';
import { requireSpace } from '../disk.ts';
import { writeFailure } from '../safetensors-writer.ts';
import type { HubClient } from './client.ts';
import { download } from './download.ts';
import { commitOf, HubFile, listFiles } from './listing.ts';
import { folderOf, isCommit, urlPath } from './names.ts';
import { filesBeside, filesOfWeights, type Wanted } from './wanted.ts';

const LISTING = '.listing.json';
const PARTIAL = '.partial';

export interface Snapshot {
  readonly folder: string;
  readonly commit: string;
  /** The files that hold weights, with their hashes. */
  readonly weights: readonly HubFile[];
}

/**
 * A model's files at a commit, on disk as `<cache>/hub/<repository>/<commit>/<path>`, whole and checked files only: those
 * that are there are used, the others downloaded. A revision that was resolved before is used without a network.
 * @throws VersusError `infrastructure` without network or space, `input` for what the hub refuses or gives wrongly
 */
export async function snapshotOf(
  client: HubClient,
  id: string,
  revision: string,
  wanted: Wanted,
  { cacheDir, progress }: WeightOptions & { readonly cacheDir: string },
): Promise<Snapshot> {
  const repository = join(cacheDir, DOWNLOADS, folderOf(id));
  try {
    const commit = await resolved(client, repository, id, revision, progress);
    const folder = join(repository, commit);
    const listing = await listed(client, folder, id, commit);
    const weights = filesOfWeights(id, listing, wanted);
    const all = [...filesBeside(listing), ...weights];
    const snapshot = { folder, commit, weights };
    const whole = async (): Promise<Snapshot | null> =>
      (await missingOf(folder, all)).length === 0 ? snapshot : null;
    if (await whole()) return snapshot;
    if (client.offline) throw notHere(id, revision, folder);
    const waiting = (): void => progress?.(`waiting for another process that downloads ${id}`);
    const lock = await lockOrWait(join(repository, '.lock'), whole, waiting);
    if ('found' in lock) return lock.found;
    try {
      await bring(client, id, commit, repository, await missingOf(folder, all), progress);
    } finally {
      await lock.release();
    }
    return snapshot;
  } catch (error) {
    throw writeFailure(repository, error);
  }
}

async function bring(
  client: HubClient,
  id: string,
  commit: string,
  repository: string,
  files: readonly HubFile[],
  progress: WeightOptions['progress'],
): Promise<void> {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  await requireSpace(repository, total);
  let before = 0;
  for (const file of files) {
    const url = `${client.endpoint}/${urlPath(id)}/resolve/${commit}/${urlPath(file.path)}`;
    const target = {
      path: join(repository, commit, file.path),
      partial: join(repository, PARTIAL, file.hash),
    };
    const tell = throttled((bytes: number) =>
      progress?.(`downloading ${file.path} of ${id}`, before + bytes, total),
    );
    await download(client, url, file, target, tell);
    before += file.bytes;
  }
  // Empty unless an earlier download of something else was cut off.
  await rmdir(join(repository, PARTIAL)).catch(() => {});
}

/** The commit of a revision: asked from the hub, or remembered where it cannot be asked. */
async function resolved(
  client: HubClient,
  repository: string,
  id: string,
  revision: string,
  progress: WeightOptions['progress'],
): Promise<string> {
  if (isCommit(revision)) return revision;
  const memo = join(repository, `.revision-${encodeURIComponent(revision)}`);
  const known = (await readFile(memo, 'utf8').catch(() => '')).trim();
  if (client.offline) {
    if (isCommit(known)) return known;
    throw notHere(id, revision, repository);
  }
  try {
    const commit = await commitOf(client, id, revision);
    if (commit !== known) await replace(memo, repository, commit);
    return commit;
  } catch (error) {
    const unreachable = error instanceof VersusError && error.kind === 'infrastructure';
    if (!unreachable || !isCommit(known)) throw error;
    progress?.(`the hub is out of reach: ${id} at ${revision} is taken as it was last seen, ${known}`);
    return known;
  }
}

/** The files of a commit never change, so their list is asked for once. */
async function listed(client: HubClient, folder: string, id: string, commit: string): Promise<HubFile[]> {
  const memo = join(folder, LISTING);
  try {
    return z.array(HubFile).parse(JSON.parse(await readFile(memo, 'utf8')));
  } catch {
    // Not asked yet, or damaged: asked again.
  }
  if (client.offline) throw notHere(id, commit, folder);
  const files = await listFiles(client, id, commit);
  await replace(memo, folder, JSON.stringify(files));
  return files;
}

async function missingOf(folder: string, files: readonly HubFile[]): Promise<HubFile[]> {
  const missing: HubFile[] = [];
  for (const file of files) {
    // A file gets its name when its hash was right.
    const found = await stat(join(folder, file.path)).catch(() => null);
    if (!found?.isFile() || found.size !== file.bytes) missing.push(file);
  }
  return missing;
}

async function replace(path: string, folder: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  await writeFile(temporary, text, { flush: true });
  await rename(temporary, path);
}

const PROGRESS_MS = 500;

function throttled(tell: (bytes: number) => void): (bytes: number) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (bytes) => {
    const now = performance.now();
    if (now - last < PROGRESS_MS) return;
    last = now;
    tell(bytes);
  };
}

function notHere(id: string, revision: string, where: string): VersusError {
  return new VersusError(
    'infrastructure',
    `HF_HUB_OFFLINE is set, and ${id} at ${revision} is not here yet`,
    {
      where,
      next: 'run once with a network, or download the files elsewhere and use safetensors(folder) or onnx(folder)',
    },
  );
}
