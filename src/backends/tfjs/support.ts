import { VersusError } from '../../core/errors.ts';
import type { Graph } from '../../core/graph.ts';
import { kernelOf as hostKernelOf } from '../../graph/kernels/index.ts';
import type { EngineName } from './engine.ts';
import { kernelOf } from './kernels/index.ts';

/**
 * @throws VersusError `unsupported` naming operator, node and opset of the first node that neither the engine nor the host
 * computes, and every other such operator
 */
export function checkSupported(graph: Graph, engine: EngineName, where: string): void {
  const missing = new Map<string, string>();
  for (const node of graph.nodes) {
    const op = node.domain && node.domain !== 'ai.onnx' ? `${node.domain}:${node.op}` : node.op;
    const kernel = kernelOf(node);
    const refusal = kernel ? kernel.refuses?.(node, engine) : hostKernelOf(node) ? null : 'no kernel';
    if (refusal && !missing.has(op)) {
      const name = node.name || node.outputs[0] || '(unnamed)';
      missing.set(op, `${op} (node ${name}${refusal === 'no kernel' ? '' : `: ${refusal}`})`);
    }
  }
  if (missing.size === 0) return;
  const opset = graph.opset[''] ?? graph.opset['ai.onnx'] ?? 'unknown';
  throw new VersusError(
    'unsupported',
    `tfjs-${engine} lacks ${[...missing.values()].join(', ')} of opset ${opset}`,
    {
      where,
      next: 'run it on onnxruntime-cpu',
    },
  );
}
