import type { Placement } from '../../core/backend.ts';
import type { Described, NodeRun } from './profile.ts';
import { EXECUTION_PROVIDER, type Provider } from './provider.ts';

/** Results of at most this many whole numbers are taken for shape arithmetic. */
const SHAPE_ELEMENTS = 64;
/** Types of ids, positions and masks, which GPU shading languages cannot hold. */
const HOST_TYPES = /^(int64|bool)$/;

/**
 * Which provider executed which node, and how long. A node counts once however often it ran. Null when no node ran yet.
 *
 * Share and strays leave out what runtimes compute on the host on purpose: the few whole numbers of a shape, and ids,
 * positions and masks (int64, bool) up to the Cast that makes numbers of them. Integer arithmetic that carries work
 * (MatMulInteger gives int32, quantisation uint8) is never left out. The share of time leaves nothing out.
 */
export function placementOf(runs: readonly NodeRun[], provider: Provider): Placement | null {
  if (runs.length === 0) return null;
  const nodes: Record<string, number> = {};
  const times: Record<string, number> = {};
  const strays: string[] = [];
  const asked = EXECUTION_PROVIDER[provider];
  for (const node of runs) {
    nodes[node.provider] = (nodes[node.provider] ?? 0) + 1;
    times[node.provider] = node.ms.reduce((sum, ms) => sum + ms, times[node.provider] ?? 0);
    if (node.provider !== asked && !isShapeArithmetic(node) && !isIndexArithmetic(node)) strays.push(node.op);
  }
  const there = nodes[asked] ?? 0;
  const counted = there + strays.length;
  const total = Object.values(times).reduce((a, b) => a + b, 0);
  return {
    nodes,
    share: counted === 0 ? 1 : there / counted,
    ...(total > 0 && { times, share_of_time: (times[asked] ?? 0) / total }),
    method: 'profile',
    strays: [...new Set(strays)].sort(),
  };
}

function isShapeArithmetic({ outputs }: NodeRun): boolean {
  if (outputs.length === 0) return false;
  return outputs.every(
    ([type, dims]) =>
      /^(u?int\d+|bool)$/.test(type) && dims.length <= 1 && dims.reduce((n, d) => n * d, 1) <= SHAPE_ELEMENTS,
  );
}

/** Every result is int64 or bool, or it is a Cast from these. */
function isIndexArithmetic({ op, inputs, outputs }: NodeRun): boolean {
  const tensors: readonly Described[] = op === 'Cast' ? inputs : outputs;
  return tensors.length > 0 && tensors.every(([type]) => HOST_TYPES.test(type));
}
