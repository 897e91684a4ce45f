import type { Node } from '../../core/graph.ts';
import { convolution, sampling } from './conv.ts';
import { creation } from './create.ts';
import { elementwise } from './elementwise.ts';
import type { OpEntry, OpTable } from './entry.ts';
import { indexing } from './gather.ts';
import { matmul } from './matmul.ts';
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
};

/** The table's row for a node; undefined for operators that it lacks and for other domains. */
export function operatorOf(node: Pick<Node, 'op' | 'domain'>): OpEntry | undefined {
  const standard = !node.domain || node.domain === 'ai.onnx';
  return standard && Object.hasOwn(OPERATORS, node.op) ? OPERATORS[node.op] : undefined;
}
