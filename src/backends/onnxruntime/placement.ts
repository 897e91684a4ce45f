import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Placement } from '../../core/backend.ts';
import { VersusError } from '../../core/errors.ts';
import { EXECUTION_PROVIDER, type Provider } from './provider.ts';

/** A private folder in which the runtime leaves its profile (it adds a time stamp to the name that it is given). */
export interface ProfileFolder {
  readonly prefix: string;
  read(): Promise<string>;
  remove(): Promise<void>;
}

export async function profileFolder(): Promise<ProfileFolder> {
  const dir = await mkdtemp(join(tmpdir(), 'versus-profile-'));
  return {
    prefix: join(dir, 'profile'),
    async read() {
      const file = (await readdir(dir)).find((name) => name.endsWith('.json'));
      if (file === undefined)
        throw new VersusError('infrastructure', 'the runtime wrote no profile', { where: dir });
      return readFile(join(dir, file), 'utf8');
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}

/**
 * Which provider executed which node, from the runtime's profile (Chrome trace events: `cat` is `Node`, `args.provider`
 * and `args.op_name` name provider and operator). A node counts once however often it ran. Null when no node ran yet.
 */
export function placementFromProfile(text: string, provider: Provider): Placement | null {
  const nodes: Record<string, number> = {};
  const strays = new Set<string>();
  const seen = new Set<string>();
  for (const event of events(text)) {
    if (event.cat !== 'Node' || typeof event.name !== 'string' || !event.name.endsWith('_kernel_time'))
      continue;
    const device = event.args?.provider;
    if (typeof device !== 'string' || device === '') continue;
    const id = `${event.args?.node_index ?? ''} ${event.name}`;
    if (seen.has(id)) continue;
    seen.add(id);
    nodes[device] = (nodes[device] ?? 0) + 1;
    if (device !== EXECUTION_PROVIDER[provider]) strays.add(String(event.args?.op_name ?? event.name));
  }
  if (seen.size === 0) return null;
  return {
    nodes,
    share: (nodes[EXECUTION_PROVIDER[provider]] ?? 0) / seen.size,
    method: 'profile',
    strays: [...strays].sort(),
  };
}

interface ProfileEvent {
  readonly cat?: unknown;
  readonly name?: unknown;
  readonly args?: Readonly<Record<string, unknown>>;
}

function events(text: string): ProfileEvent[] {
  try {
    const parsed: unknown = JSON.parse(text);
    if (Array.isArray(parsed)) return parsed as ProfileEvent[];
  } catch (cause) {
    throw new VersusError('infrastructure', 'the runtime’s profile is not valid JSON', { cause });
  }
  throw new VersusError('infrastructure', 'the runtime’s profile is not a list of events');
}
