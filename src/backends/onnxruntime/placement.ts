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

/** Results of at most this many whole numbers are taken for shape arithmetic. */
const SHAPE_ELEMENTS = 64;
/** Types of ids, positions and masks, which GPU shading languages cannot hold. */
const HOST_TYPES = /^(int64|bool)$/;

/**
 * Which provider executed which node, from the runtime's profile (Chrome trace events: `cat` is `Node`, `args.provider`
 * and `args.op_name` name provider and operator). A node counts once however often it ran. Null when no node ran yet.
 *
 * Share and strays leave out what runtimes compute on the host on purpose: the few whole numbers of a shape, and ids,
 * positions and masks (int64, bool) up to the Cast that makes numbers of them. Integer arithmetic that carries work
 * (MatMulInteger gives int32, quantisation uint8) is never left out.
 */
export function placementFromProfile(text: string, provider: Provider): Placement | null {
  const nodes: Record<string, number> = {};
  const strays: string[] = [];
  let there = 0;
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
    if (device === EXECUTION_PROVIDER[provider]) there++;
    else if (!isShapeArithmetic(event) && !isIndexArithmetic(event))
      strays.push(String(event.args?.op_name ?? event.name));
  }
  if (seen.size === 0) return null;
  const counted = there + strays.length;
  return {
    nodes,
    share: counted === 0 ? 1 : there / counted,
    method: 'profile',
    strays: [...new Set(strays)].sort(),
  };
}

/** `output_type_shape` lists one `{ type: [dims] }` per output. */
function isShapeArithmetic(event: ProfileEvent): boolean {
  const outputs = event.args?.output_type_shape;
  if (!Array.isArray(outputs) || outputs.length === 0) return false;
  return outputs.every((output: Record<string, readonly number[]>) =>
    Object.entries(output).every(
      ([type, dims]) =>
        /^(u?int\d+|bool)$/.test(type) &&
        dims.length <= 1 &&
        dims.reduce((n, d) => n * d, 1) <= SHAPE_ELEMENTS,
    ),
  );
}

/** Every result is int64 or bool, or it is a Cast from these. */
function isIndexArithmetic(event: ProfileEvent): boolean {
  const { op_name, input_type_shape: inputs, output_type_shape: outputs } = event.args ?? {};
  const tensors = op_name === 'Cast' ? inputs : outputs;
  if (!Array.isArray(tensors) || tensors.length === 0) return false;
  return tensors.every((tensor: Record<string, unknown>) =>
    Object.keys(tensor).every((type) => HOST_TYPES.test(type)),
  );
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
