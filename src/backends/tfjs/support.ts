import { VersusError } from '../../core/errors.ts';
import type { Graph, Node } from '../../core/graph.ts';
import { kernelOf as hostKernelOf } from '../../graph/kernels/index.ts';
import type { EngineName } from './engine.ts';
import { kernelOf } from './kernels/index.ts';

/** A node that can't be run, and what it is about it, if not the operator as such. */
export interface Lack {
  readonly node: Node;
  readonly why: string | null;
}

/** `unsupported`, naming operator, node and operator set of each. */
export function lacking(
  engine: EngineName,
  lacks: readonly Lack[],
  opsets: Graph['opset'],
  where: string,
): VersusError {
  const named = lacks.map(({ node, why }) => {
    const name = node.name || node.outputs[0] || '(unnamed)';
    return `${operatorOf(node)} (node ${name}${why ? `: ${why}` : ''}) of ${opsetOf(node, opsets)}`;
  });
  return new VersusError('unsupported', `tfjs-${engine} lacks ${named.join(', ')}`, {
    where,
    next: 'run it on onnxruntime-cpu',
  });
}

const isStandard = ({ domain }: Node): boolean => !domain || domain === 'ai.onnx';

const operatorOf = (node: Node): string => (isStandard(node) ? node.op : `${node.domain}:${node.op}`);

function opsetOf(node: Node, opsets: Graph['opset']): string {
  if (isStandard(node)) return `opset ${opsets[''] ?? opsets['ai.onnx'] ?? 'unknown'}`;
  return `opset ${opsets[node.domain!] ?? 'unknown'} of ${node.domain}`;
}

/**
 * @throws VersusError `unsupported` naming operator, node and opset of the first node that neither the engine nor the host
 * computes, and every other such operator
 */
export function checkSupported(graph: Graph, engine: EngineName, where: string): void {
  const lacks = new Map<string, Lack>();
  for (const node of graph.nodes) {
    const op = operatorOf(node);
    const kernel = kernelOf(node);
    const why = kernel?.refuses?.(node, engine) ?? null;
    const runs = kernel ? why === null : hostKernelOf(node) !== undefined;
    if (!runs && !lacks.has(op)) lacks.set(op, { node, why });
  }
  if (lacks.size > 0) throw lacking(engine, [...lacks.values()], graph.opset, where);
}
