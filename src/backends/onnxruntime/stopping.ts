import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Graph, Node } from '../../core/graph.ts';
import type { Artifact } from '../../core/model.ts';
import { type ExternalPlace, encodeOnnx, openOnnx } from '../../graph/onnx/index.ts';
import { anchors } from '../../transform/order.ts';
import { freshNames } from '../../transform/view.ts';
import type { Runtime } from './runtime.ts';

/**
 * What the binding (1.30) throws when it comes to a result that is no tensor. It copies each result into new memory, one that was
 * written where the caller wanted it, too; results are taken in the order of the graph's outputs. So if the first is no tensor, then
 * all are computed, those with a place are written, and none is copied.
 */
const STOPPED = 'Non tensor type is temporarily not supported.';

/** First operator set with sequences. */
const SEQUENCES = 11;
/** First operator set in which `Shape` gives a part of the dimensions. */
const PARTIAL = 15;

export const isStopped = (error: unknown): boolean => error instanceof Error && error.message === STOPPED;

/** A graph as it is run without copies. */
export interface Stopping {
  readonly bytes: Uint8Array;
  /** Where the weights lie that it names. */
  readonly folder: string;
  /** The first output, which is no tensor. */
  readonly stop: string;
  /** Names of the nodes that were added. */
  readonly added: ReadonlySet<string>;
}

/**
 * An artifact's graph with a first output that is no tensor, as a file that lies nowhere and whose weights are the artifact's. It runs
 * in the order in which the artifact's nodes are written: they stand in reverse (see `executed`), and the last node of all takes the
 * shapes of those results that would else be computed too early or too late.
 *
 * @returns null for a graph with outputs whose sizes are known only when it runs, or with weights in other folders
 */
export async function stopping(artifact: Artifact): Promise<Stopping | null> {
  const { graph, weights, places } = await openOnnx(artifact.path);
  await weights.close();
  const [first] = graph.outputs;
  const fixed = graph.outputs.every(({ shape }) => shape.every((dim) => typeof dim === 'number'));
  const folder = dirname(await realpath(artifact.path));
  const near = [...places.values()].every(({ path }) => dirname(path) === folder);
  if (!first || !fixed || !near || (graph.opset[''] ?? 0) < SEQUENCES) return null;
  const external = new Map(
    Array.from(places, ([name, { path, offset }]) => [name, { location: basename(path), offset }]),
  );
  return { ...derived(graph, external), folder };
}

function derived(graph: Graph, external: ReadonlyMap<string, ExternalPlace>): Omit<Stopping, 'folder'> {
  const fresh = freshNames(graph);
  const stop = fresh('stop');
  // No dimensions of the shape: what has no bytes can't lie in the arena between others until the end.
  const none = (graph.opset[''] ?? 0) >= PARTIAL ? { start: 0, end: 0 } : {};
  const shapes = anchors(graph.nodes).map((node): Node => {
    const result = node.outputs.find((o) => o !== '')!;
    const name = fresh(`stop/${result}`);
    return { op: 'Shape', name, inputs: [result], outputs: [name], attrs: none };
  });
  const inputs = shapes.map((node) => node.name);
  const last: Node = { op: 'SequenceConstruct', name: stop, inputs, outputs: [stop], attrs: {} };
  const whole: Graph = {
    ...graph,
    outputs: [{ name: stop, dtype: 'int64', shape: [] }, ...graph.outputs],
    nodes: [...graph.nodes, ...shapes, last].reverse(),
  };
  const bytes = encodeOnnx(whole, { external, untyped: new Set([stop]) });
  return { bytes, stop, added: new Set([stop, ...inputs]) };
}

let proven: Promise<boolean> | undefined;

/** Whether this runtime does what `STOPPED` says: tried once, on x + x. */
export function stops(runtime: Runtime): Promise<boolean> {
  proven ??= tried(runtime).catch(() => false);
  return proven;
}

async function tried(runtime: Runtime): Promise<boolean> {
  const { bytes, stop } = derived(
    {
      name: 'stops',
      opset: { '': 17 },
      inputs: [{ name: 'x', dtype: 'float32', shape: [2] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [2] }],
      params: [],
      nodes: [{ op: 'Add', name: 'stops/Add', inputs: ['x', 'x'], outputs: ['y'], attrs: {} }],
    },
    new Map(),
  );
  const session = await runtime.InferenceSession.create(bytes, { logSeverityLevel: 4 });
  try {
    const [x, y] = [Float32Array.of(3, 4), new Float32Array(2)];
    const tensor = (data: Float32Array) => new runtime.Tensor('float32', data, [2]);
    const stopped = await session
      .run({ x: tensor(x) }, { [stop]: null, y: tensor(y) })
      .then(() => false, isStopped);
    return stopped && y[0] === 6 && y[1] === 8;
  } finally {
    await session.release();
  }
}
