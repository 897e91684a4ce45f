import type { Node } from '../../core/graph.ts';
import { contrib } from './contrib.ts';
import { convolution, sampling } from './conv.ts';
import { creation } from './create.ts';
import { elementwise } from './elementwise.ts';
import type { OpEntry, OpTable } from './entry.ts';
import { fused } from './fused.ts';
import { indexing } from './gather.ts';
import { losses } from './loss.ts';
import { matmul } from './matmul.ts';
import { blocked } from './matmul-nbits.ts';
import { normalisations } from './norm.ts';
import { parts } from './parts.ts';
import { reductions } from './reduce.ts';
import { shapes } from './shape.ts';

/** The operator table: every standard ONNX operator that Versus can type and cost, by name. */
export const OPERATORS: OpTable = {
  ...elementwise,
  ...matmul,
  ...convolution,
  ...sampling,
  ...shapes,
  ...parts,
  ...reductions,
  ...normalisations,
  ...indexing,
  ...creation,
  ...losses,
};

const MICROSOFT_OPERATORS: OpTable = { ...blocked, ...contrib };

/** The domain of onnxruntime's own operators. */
export const MICROSOFT = 'com.microsoft';
/** The domain of the operators that our own transforms make, see `fused.ts`. */
export const VERSUS = 'versus';

/** The table's row for a node; undefined for operators that it lacks. */
export function operatorOf(node: Pick<Node, 'op' | 'domain'>): OpEntry | undefined {
  const table = byDomain(node, OPERATORS, MICROSOFT_OPERATORS, fused);
  return table && Object.hasOwn(table, node.op) ? table[node.op] : undefined;
}

/** The one of three tables that a node's domain belongs to: the standard one, onnxruntime's own, or ours. */
export function byDomain<T>(
  { domain }: Pick<Node, 'domain'>,
  standard: T,
  microsoft: T,
  versus: T,
): T | undefined {
  if (!domain || domain === 'ai.onnx') return standard;
  return domain === MICROSOFT ? microsoft : domain === VERSUS ? versus : undefined;
}
