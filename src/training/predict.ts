import type { Graph } from '../core/graph.ts';
import { bytesOf } from '../graph/ops/entry.ts';
import { Arena } from './arena.ts';
import { memoryPlan, type Planned } from './memory-plan.ts';
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
