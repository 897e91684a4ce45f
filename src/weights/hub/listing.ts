import * as z from 'zod';
import { VersusError } from '../../core/errors.ts';
import type { HubClient } from './client.ts';
import { isCommit, isModelFile, urlPath } from './names.ts';

/** A file of a repository at a commit. */
export const HubFile = z.object({
  path: z.string().refine(isModelFile),
  bytes: z.number().int().nonnegative(),
  /** What its content must hash to: SHA-256 of large files, git's SHA-1 of a blob of the small ones. */
  hash: z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/),
});
export type HubFile = z.infer<typeof HubFile>;

const MAX_PAGES = 50;
const MAX_FILES = 20_000;
const Revision = z.object({ sha: z.string().refine(isCommit) });
const Entry = z.object({
  type: z.string(),
  path: z.string().max(2000),
  size: z.number().int().nonnegative().optional(),
  oid: z.string().optional(),
  lfs: z.object({ oid: z.string(), size: z.number().int().nonnegative() }).nullish(),
});

/** The commit that a branch or tag is at. @throws VersusError as `HubClient` */
export async function commitOf(client: HubClient, id: string, revision: string): Promise<string> {
  if (isCommit(revision)) return revision;
  const path = `/api/models/${urlPath(id)}/revision/${encodeURIComponent(revision)}`;
  const { value } = await client.json(path, `${id} at ${revision}`);
  const parsed = Revision.safeParse(value);
  if (parsed.success) return parsed.data.sha;
  throw strange(client, `no commit for ${id} at ${revision}`);
}

/**
 * The files of a model at a commit. Left out is what no model is made of here, and whatever has a name that a path could
 * be made of.
 */
export async function listFiles(client: HubClient, id: string, commit: string): Promise<HubFile[]> {
  const files = new Map<string, HubFile>();
  let page: string | null = `/api/models/${urlPath(id)}/tree/${commit}?recursive=true`;
  for (let pages = 0; page !== null; pages++) {
    if (pages === MAX_PAGES) throw strange(client, `more than ${MAX_PAGES} pages of files of ${id}`);
    const { value, next }: { value: unknown; next: string | null } = await client.json(
      page,
      `files of ${id}`,
    );
    const parsed = z.array(Entry).safeParse(value);
    if (!parsed.success) throw strange(client, `a listing of ${id} that is none`);
    for (const { type, path, size, oid, lfs } of parsed.data) {
      if (type !== 'file') continue;
      const file = HubFile.safeParse({
        path,
        bytes: lfs?.size ?? size,
        hash: lfs ? lfs.oid.replace(/^sha256:/, '') : oid,
      });
      if (file.success) files.set(path, file.data);
      if (files.size > MAX_FILES) throw strange(client, `more than ${MAX_FILES} files of ${id}`);
    }
    page = next;
  }
  return [...files.values()];
}

function strange(client: HubClient, what: string): VersusError {
  return new VersusError('input', `the hub answers with ${what}`, {
    where: client.endpoint,
    next: 'check HF_ENDPOINT',
  });
}
