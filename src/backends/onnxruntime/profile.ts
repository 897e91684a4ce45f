import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeTime } from '../../core/backend.ts';
import { VersusError } from '../../core/errors.ts';

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

/** One tensor of a node as the profile describes it: `[type, dims]`. */
export type Described = readonly [type: string, dims: readonly number[]];

/** A node in the runtime's profile, over all runs. */
export interface NodeRun {
  readonly name: string;
  readonly op: string;
  readonly provider: string;
  /** Milliseconds of every execution. */
  readonly ms: readonly number[];
  /** Of the last execution. */
  readonly inputs: readonly Described[];
  readonly outputs: readonly Described[];
  readonly bytes: number;
}

/** Bytes, as the profile has them: in decimal text. */
const SIZES = ['activation_size', 'parameter_size', 'output_size'];
const KERNEL = '_kernel_time';
const GPU = 'WebGpuExecutionProvider';

/**
 * The nodes of a profile (Chrome trace events), in the order in which they first ran. `cat` is `Node` for what the host did
 * for a node: all of its work on the CPU, only the recording of commands on webgpu. There the GPU's own clock is in events of
 * `cat` `Api`, one per program, named `node&operator&program`: where these exist they are a node's time, and a node that
 * started no program (a reshape) took none.
 *
 * @throws VersusError `infrastructure` for what is no such profile
 */
export function nodeRuns(text: string): readonly NodeRun[] {
  const all = events(text);
  const programs = new Map<string, number[]>();
  for (const { cat, name, dur } of all) {
    if (cat !== 'Api' || typeof name !== 'string') continue;
    const node = name.slice(0, name.lastIndexOf('&', name.lastIndexOf('&') - 1));
    const list = programs.get(node);
    if (list) list.push(milliseconds(dur));
    else programs.set(node, [milliseconds(dur)]);
  }
  const nodes = new Map<string, NodeRun & { readonly ms: number[] }>();
  for (const { cat, name, dur, args } of all) {
    if (cat !== 'Node' || typeof name !== 'string' || !name.endsWith(KERNEL)) continue;
    const provider = args?.provider;
    if (typeof provider !== 'string' || provider === '') continue;
    const id = `${args?.node_index ?? ''} ${name}`;
    const known = nodes.get(id);
    const ms = known?.ms ?? [];
    ms.push(milliseconds(dur));
    nodes.set(id, {
      name: name.slice(0, -KERNEL.length),
      op: String(args?.op_name ?? ''),
      provider,
      ms,
      inputs: described(args?.input_type_shape),
      outputs: described(args?.output_type_shape),
      bytes: SIZES.reduce((sum, size) => sum + (Number(args?.[size]) || 0), 0),
    });
  }
  const found = [...nodes.values()];
  return programs.size === 0 ? found : onGpuClock(found, programs);
}

/** Nodes of one name share their programs' times evenly: the profile does not tell them apart. */
function onGpuClock(nodes: readonly NodeRun[], programs: ReadonlyMap<string, readonly number[]>): NodeRun[] {
  const namesakes = new Map<string, number>();
  for (const { name, provider } of nodes) {
    if (provider === GPU) namesakes.set(name, (namesakes.get(name) ?? 0) + 1);
  }
  return nodes.map((node) => {
    if (node.provider !== GPU) return node;
    const times = programs.get(node.name) ?? [];
    const runs = node.ms.length;
    const share = namesakes.get(node.name)!;
    // As many programs in every run, in order; where shapes changed between runs only the mean is known.
    const each = times.length / runs;
    const ms = Array.from({ length: runs }, (_, run) => {
      const part = Number.isInteger(each) ? times.slice(run * each, (run + 1) * each) : times;
      const sum = part.reduce((a, b) => a + b, 0);
      return sum / share / (part === times ? runs : 1);
    });
    return { ...node, ms };
  });
}

/** As every backend states them. */
export function nodeTimes(runs: readonly NodeRun[]): NodeTime[] {
  const shapes = (tensors: readonly Described[]) => tensors.map(([, dims]) => dims);
  return runs.map(({ name, op, provider, ms, inputs, outputs, bytes }) => ({
    ...{ name, op, device: provider, ms },
    inputs: shapes(inputs),
    outputs: shapes(outputs),
    ...(bytes > 0 && { bytes }),
  }));
}

/** The runtime counts in microseconds. */
const milliseconds = (dur: unknown): number => (typeof dur === 'number' ? dur / 1000 : 0);

/** `input_type_shape` and `output_type_shape` list one `{ type: [dims] }` per tensor. */
function described(list: unknown): Described[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((tensor: Record<string, readonly number[]>) => Object.entries(tensor).slice(0, 1));
}

interface ProfileEvent {
  readonly cat?: unknown;
  readonly name?: unknown;
  readonly dur?: unknown;
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
