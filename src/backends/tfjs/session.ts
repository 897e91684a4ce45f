import type {
  Feeds,
  NodeTime,
  Opened,
  OpenOptions,
  Placement,
  ResidentSession,
  Residents,
  Session,
} from '../../core/backend.ts';
import { VersusError } from '../../core/errors.ts';
import type { Artifact } from '../../core/model.ts';
import { ResidentStore } from '../../core/residents.ts';
import type { Tensors } from '../../core/tensor.ts';
import { donatedTensors, isTensor } from '../../core/through-host.ts';
import { foldIfs } from '../../transform/fold-if.ts';
import { checkFeeds, checkFetch } from '../feeds.ts';
import { download } from './download.ts';
import { type Engine, type EngineName, loadEngine, using } from './engine.ts';
import { Executor } from './executor.ts';
import { prepared } from './prepare.ts';
import { checkSupported } from './support.ts';
import { dispose, type Value } from './value.ts';

/** A graph on an engine, before it is decided whether its results stay there. */
interface OpenGraph extends Pick<Opened, 'inputs' | 'outputs' | 'options'> {
  readonly where: string;
  readonly engine: Engine;
  readonly executor: Executor;
  readonly everyOutput: readonly string[];
  checkOpen(): void;
  placement(): Promise<Placement | null>;
  profile(): Promise<readonly NodeTime[] | null>;
  close(before?: () => void): Promise<void>;
}

/**
 * Reads an artifact's graph, prepares it for the engine and puts its weights there.
 * @throws VersusError `unsupported` (operator or precision, with the node), `input` (not a valid model) or `infrastructure`
 */
export async function openSession(name: EngineName, artifact: Artifact, open: OpenOptions): Promise<Session> {
  const { where, engine, executor, everyOutput, checkOpen, ...rest } = await opened(name, artifact, open);
  return {
    ...rest,
    async run(feeds: Tensors, fetch?: readonly string[]) {
      checkOpen();
      checkFeeds(where, rest.inputs, feeds);
      if (fetch !== undefined) checkFetch(where, rest.outputs, fetch);
      return using(engine, async () => {
        const values = await executor.run(feeds, fetch ?? everyOutput);
        return downloaded(engine, [...values]);
      });
    },
  };
}

/**
 * As `openSession`, with the outputs in `keep` staying on the engine.
 * @throws VersusError as `openSession`; `input` when `keep` names an output that the graph lacks
 */
export async function openResidentSession(
  name: EngineName,
  artifact: Artifact,
  open: OpenOptions,
  keep: readonly string[],
): Promise<ResidentSession> {
  const { where, engine, executor, everyOutput, checkOpen, ...rest } = await opened(name, artifact, open);
  const unknown = keep.find((output) => !everyOutput.includes(output));
  if (unknown !== undefined) {
    await rest.close();
    throw new VersusError('input', `the graph has no output '${unknown}' to keep`, {
      where,
      next: `keep some of ${everyOutput.join(', ')}`,
    });
  }
  const store = new ResidentStore<Value>(`tfjs-${name}`, where);
  const moved = { to_device: 0, to_host: 0 };
  const hold = (value: Value) => store.hold(value, value, () => dispose(value));
  return {
    ...rest,
    keep,
    overwrites: false,
    traffic: () => ({ ...moved, resident: store.bytes }),
    async run(feeds: Feeds, fetch?: readonly string[], donated: Readonly<Residents> = {}) {
      checkOpen();
      checkFeeds(where, rest.inputs, feeds);
      if (fetch !== undefined) checkFetch(where, rest.outputs, fetch);
      const fed = Object.entries(feeds).map(([input, value]) => {
        if (!isTensor(value)) return [input, store.native(value, `input '${input}'`)] as const;
        moved.to_device += value.data.byteLength;
        return [input, value] as const;
      });
      donatedTensors(store, donated, keep);
      return using(engine, async () => {
        const values = await executor.run(Object.fromEntries(fed), fetch ?? everyOutput);
        for (const resident of Object.values(donated)) resident.dispose();
        const kept: Residents = {};
        const leaving: [string, Value][] = [];
        for (const [output, value] of values) {
          if (keep.includes(output)) kept[output] = hold(value);
          else leaving.push([output, value]);
        }
        const host = await downloaded(engine, leaving);
        for (const { data } of Object.values(host)) moved.to_host += data.byteLength;
        return { host, kept };
      });
    },
    async put(tensor) {
      checkOpen();
      moved.to_device += tensor.data.byteLength;
      return hold({ dtype: tensor.dtype, shape: tensor.shape, fixed: false, host: tensor });
    },
    async read(resident) {
      checkOpen();
      const value = store.native(resident, 'what is read');
      const tensor = await using(engine, () => download(engine, value));
      moved.to_host += tensor.data.byteLength;
      return tensor;
    },
    close: () => rest.close(() => store.close()),
  };
}

/** Values brought to the host, and freed. */
async function downloaded(engine: Engine, values: readonly (readonly [string, Value])[]): Promise<Tensors> {
  const results: Tensors = {};
  try {
    for (const [name, value] of values) results[name] = await download(engine, value);
    return results;
  } finally {
    for (const [, value] of values) dispose(value);
  }
}

async function opened(name: EngineName, artifact: Artifact, open: OpenOptions): Promise<OpenGraph> {
  const where = `${artifact.model}/${artifact.graphName} (${artifact.path})`;
  if (open.precision !== 'fp32') {
    throw new VersusError('unsupported', `tfjs-${name} computes in fp32 only, not in ${open.precision}`, {
      where,
      next: 'run it on onnxruntime, or with --precision fp32',
    });
  }
  const optimisation = open.optimisation ?? 'all';
  const graph = foldIfs(await artifact.graph());
  checkSupported(graph, name, where);
  const engine = await loadEngine(name);
  const executor = await using(engine, async () => {
    const ready = await prepared(graph, artifact, optimisation);
    try {
      checkSupported(ready.graph, name, where);
      return await Executor.load(ready.graph, ready.numbers, engine, open.prove ?? false, ready.params);
    } finally {
      await ready.close();
    }
  });
  let closed = false;
  return {
    where,
    engine,
    executor,
    inputs: graph.inputs,
    outputs: graph.outputs,
    everyOutput: graph.outputs.map((output) => output.name),
    options: {
      engine: name,
      precision: open.precision,
      optimisation,
      threads: name === 'wasm' || name === 'cpu' ? 1 : null,
      prove: open.prove ?? false,
    },
    checkOpen() {
      if (closed) throw new VersusError('infrastructure', 'the session is closed', { where });
    },
    placement: async () => executor.placement(),
    profile: async () => executor.profile(),
    async close(before) {
      if (closed) return;
      closed = true;
      await using(engine, async () => {
        before?.();
        executor.close();
      });
    },
  };
}
