import type { Graph } from '../core/graph.ts';
import { elementCount } from '../core/tensor.ts';
import { bytesOf } from '../graph/ops/entry.ts';
import { Arena } from './arena.ts';
import type { Forward } from './forward/index.ts';
import { memoryPlan, type Planned } from './memory-plan.ts';
import type { TrainingSettings } from './settings.ts';
import type { TrainingStep } from './step.ts';

/** Bytes that a training step holds at its peak, by what they are for. */
export interface StepMemory {
  /** Parameters and buffers that train or change. */
  readonly weights: number;
  /** Parameters that don't: they lie in the model's file, or as the runtime laid them out when it loaded them. */
  readonly frozen: number;
  /** What the optimiser keeps from step to step. */
  readonly optimiser: number;
  /** Gradients of parameters that live at the peak of the rest. */
  readonly gradients: number;
  /** Results of the forward pass that live then. */
  readonly activations: number;
  /** All else that is computed then. */
  readonly transient: number;
  /** What the runtime's arena holds beyond that: gaps between tensors, and pages of other moments. */
  readonly arena: number;
  readonly total: number;
}

/** Runs over which the arena settles: the second finds free what the first left. */
const STEPS = 3;

/**
 * Memory of a step on onnxruntime's CPU, when it runs in the order of its nodes and writes its state in place: which results share
 * memory as the runtime plans it, and where they lie as its arena places them.
 *
 * @throws VersusError `input` for a value whose size is not known
 */
export function stepMemory({ graph, state }: Pick<TrainingStep, 'graph' | 'state'>): StepMemory {
  const held = (holds: (kind: (typeof state)[number]['holds']) => boolean): number =>
    state.reduce((sum, s) => sum + (holds(s.holds) ? bytesOf(s.dtype, s.shape) : 0), 0);
  const stays = (kind: string): boolean => kind === 'weight' || kind === 'buffer';
  const [weights, optimiser] = [held(stays), held((kind) => !stays(kind))];
  const frozen = graph.params.reduce((sum, p) => sum + bytesOf(p.dtype, p.shape), 0);
  const plan = memoryPlan(graph);
  const begin: Planned[][] = graph.nodes.map(() => []);
  const end: Planned[][] = [...graph.nodes.map(() => []), []];
  for (const planned of plan) {
    begin[planned.from]!.push(planned);
    end[planned.until]!.push(planned);
  }
  const arena = new Arena();
  for (let i = 0; i < STEPS; i++) {
    const placed = new Map<Planned, ReturnType<Arena['allocate']>>();
    for (let node = 0; node < end.length; node++) {
      for (const planned of begin[node] ?? []) placed.set(planned, arena.allocate(planned.bytes));
      for (const planned of end[node]!) arena.release(placed.get(planned)!);
    }
  }
  const parts = atPeak(graph, begin, end);
  const live = parts.gradients + parts.activations + parts.transient;
  const sum = weights + frozen + optimiser + Math.max(arena.touched, live);
  return { weights, frozen, optimiser, ...parts, arena: Math.max(arena.touched - live, 0), total: sum };
}

/**
 * Memory of all that a training runs: its step, and with micro-batches what goes before it, which is a session of its own with the
 * same state: frozen parameters and arena are there twice.
 *
 * @throws VersusError `input` for a value whose size is not known
 */
export function trainingMemory(step: Pick<TrainingStep, 'graph' | 'state' | 'accumulation'>): StepMemory {
  const own = stepMemory(step);
  if (!step.accumulation) return own;
  const { weights, optimiser, total, ...adding } = stepMemory(step.accumulation);
  return {
    weights: own.weights,
    frozen: own.frozen + adding.frozen,
    optimiser: own.optimiser,
    gradients: own.gradients + adding.gradients,
    activations: own.activations + adding.activations,
    transient: own.transient + adding.transient,
    arena: own.arena + adding.arena,
    total: own.total + total - weights - optimiser,
  };
}

/** Bytes of a float32. */
const FULL = 4;

/**
 * Of `trainingMemory`, what doesn't depend on the batch and is known before there is a step: weights, frozen parameters and what the
 * optimiser keeps. Never more than they are.
 */
export function lastingMemory(
  forward: Pick<Forward, 'graph' | 'buffers'>,
  trainable: ReadonlySet<string>,
  { optimiser, precision, microBatches }: TrainingSettings,
): number {
  const kept = optimiser.kind === 'adamw' ? 2 : optimiser.momentum > 0 ? 1 : 0;
  const [copies, sums] = microBatches > 1 ? [2, 1] : [1, 0];
  return forward.graph.params.reduce((sum, { name, dtype, shape }) => {
    if (trainable.has(name)) return sum + elementCount(shape) * FULL * (1 + kept + sums);
    const bytes = bytesOf(dtype, shape);
    if (forward.buffers.has(name)) return sum + bytes;
    return sum + (copies * bytes) / (precision === 'fp16' && dtype === 'float32' ? 2 : 1);
  }, 0);
}

type Parts = Pick<StepMemory, 'gradients' | 'activations' | 'transient'>;

/** What lives when the most does. */
function atPeak(
  graph: Graph,
  begin: readonly (readonly Planned[])[],
  end: readonly (readonly Planned[])[],
): Parts {
  const live = new Set<Planned>();
  let [bytes, most] = [0, -1];
  let found: { readonly node: number; readonly live: readonly Planned[] } = { node: 0, live: [] };
  graph.nodes.forEach((_, node) => {
    for (const planned of begin[node]!) {
      live.add(planned);
      bytes += planned.bytes;
    }
    if (bytes > most) {
      most = bytes;
      found = { node, live: [...live] };
    }
    for (const planned of end[node]!) {
      live.delete(planned);
      bytes -= planned.bytes;
    }
  });
  const made = new Map(
    graph.nodes.flatMap((n, i) => n.outputs.map((o) => [o, { node: n, index: i }] as const)),
  );
  const updated = new Set(graph.nodes.flatMap((n) => (n.name.startsWith('optimiser/') ? n.inputs : [])));
  const parts = { gradients: 0, activations: 0, transient: 0 };
  for (const { bytes: size, values } of found.live) {
    // The value that is in this memory at that moment.
    const now = values.findLast((name) => made.get(name)!.index <= found.node)!;
    const { name } = made.get(now)!.node;
    const inner = name.startsWith('gradient/') || name.startsWith('optimiser/');
    parts[updated.has(now) ? 'gradients' : inner ? 'transient' : 'activations'] += size;
  }
  return parts;
}

/**
 * Bytes by which a process grows in the first steps after the session was opened: what the arena takes, the optimiser's zeros when
 * they are first written, and tables that are mapped from the model's file when they are first read.
 */
export function stepGrowth(step: TrainingStep, memory: StepMemory): number {
  const zeros = step.state.reduce(
    (sum, { dtype, shape, initial }) => sum + (initial === 0 ? bytesOf(dtype, shape) : 0),
    0,
  );
  const tables = new Set(step.graph.nodes.flatMap((n) => (n.op === 'Gather' ? n.inputs.slice(0, 1) : [])));
  const mapped = step.graph.params.filter((p) => tables.has(p.name) && !p.data);
  const { gradients, activations, transient, arena } = memory;
  const tableBytes = mapped.reduce((sum, p) => sum + bytesOf(p.dtype, p.shape), 0);
  return gradients + activations + transient + arena + zeros + tableBytes;
}
