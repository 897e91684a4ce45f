import { VersusError } from '../core/errors.ts';
import type { Graph, Node, Param } from '../core/graph.ts';
import type { DType } from '../core/tensor.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { scalarTensor } from '../graph/constants.ts';
import { inferTypes } from '../graph/infer.ts';
import { freshNames, isOp } from './view.ts';

export interface TrainedBatchNorm {
  readonly graph: Graph;
  /** Parameters that hold running statistics, and the outputs `next/<name>` that hold their new values. */
  readonly buffers: ReadonlyMap<string, string>;
}

/**
 * Puts BatchNormalization nodes in training mode: they normalise with the statistics of the batch, and for each of their running
 * statistics the graph gets an output with its next value, (1 − momentum) · old + momentum · batch.
 *
 * The variance that goes into the running one is the unbiased one, n / (n − 1) times that of the population, as PyTorch keeps it
 * (torch.nn.BatchNorm2d); by ONNX's definition it would be that of the population. So the nodes themselves get momentum 0 and
 * give the batch's own statistics, which the gradient reads, too; the rest is arithmetic on vectors. A buffer that several nodes
 * share is updated by each of them in turn.
 *
 * @param dims sizes for the graph's symbolic dimensions
 * @param options.momentum share of the batch as PyTorch counts it; 0.1 when left out
 * @param options.chosen which nodes: all when left out. Nodes whose statistics are no parameters stay as they are.
 * @throws VersusError `unsupported` where sizes are not known; `input` where a channel has a single value, whose variance would
 *   be zero
 */
export function trainBatchNorm(
  graph: Graph,
  dims: Readonly<Record<string, number>> = {},
  options: { momentum?: number; chosen?: (node: Node) => boolean } = {},
): TrainedBatchNorm {
  const { momentum = 0.1, chosen = () => true } = options;
  const params = new Set(graph.params.map((p) => p.name));
  const fresh = freshNames(graph);
  const trained: Node[] = [];
  const zeros = new Map<DType, Param>();
  // onnxruntime's kernel writes the batch's statistics over the running ones that it is given, even over what was fed, whoever
  // else reads them (1.30): it gets vectors of its own, whose numbers do not count.
  const spare = (name: string): Node => {
    const { dtype } = graph.params.find((p) => p.name === name)!;
    const zero = zeros.get(dtype) ?? zeroOf(dtype, fresh(`const/zero_${dtype}`));
    zeros.set(dtype, zero);
    const made = fresh(`${name}/spare`);
    return { op: 'Mul', name: made, inputs: [name, zero.name], outputs: [made], attrs: {} };
  };
  const nodes = graph.nodes.flatMap((node) => {
    const [, , , mean = '', variance = ''] = node.inputs;
    const isLearnt = params.has(mean) && params.has(variance);
    if (!isOp(node, 'BatchNormalization') || node.attrs.training_mode || !isLearnt || !chosen(node))
      return node;
    const result = node.outputs[0]!;
    const written = [spare(mean), spare(variance)];
    const next: Node = {
      ...node,
      inputs: [...node.inputs.slice(0, 3), ...written.map((w) => w.outputs[0]!)],
      outputs: [result, fresh(`${result}/mean`), fresh(`${result}/variance`)],
      attrs: { ...node.attrs, training_mode: 1, momentum: 0 },
      floats: [...new Set([...(node.floats ?? []), 'momentum'])],
    };
    trained.push({ ...next, inputs: node.inputs });
    return [...written, next];
  });
  if (trained.length === 0) return { graph, buffers: new Map() };
  const held = [...graph.params, ...zeros.values()];
  const { types, inputs } = inferTypes({ ...graph, params: held, nodes }, dims);
  const g = GraphBuilder.over({ ...graph, params: held, inputs, nodes }, types);
  const last = new Map<string, Value>();
  for (const node of trained) {
    const count = perChannel(g, node);
    const [, mean, variance] = node.outputs.map((name) => g.value(name)) as [Value, Value, Value];
    const update = (buffer: string, batch: Value, share: number): void => {
      const old = last.get(buffer) ?? g.value(buffer);
      last.set(buffer, g.add(g.mul(old, 1 - momentum), g.mul(batch, share)));
    };
    g.scope(`${node.name || node.outputs[0]}/running`, () => {
      update(node.inputs[3]!, mean, momentum);
      update(node.inputs[4]!, variance, (momentum * count) / (count - 1));
    });
  }
  const buffers = new Map<string, string>();
  for (const [buffer, value] of last) {
    buffers.set(buffer, `next/${buffer}`);
    g.output(`next/${buffer}`, value);
  }
  return { graph: g.build(), buffers };
}

function zeroOf(dtype: DType, name: string): Param {
  const { data } = scalarTensor(0, dtype);
  return { name, dtype, shape: [], role: 'constant', data };
}

/** How many values of each channel there are. */
function perChannel(g: GraphBuilder, node: Node): number {
  const where = `graph ${g.name}, node ${node.name || node.outputs[0]}`;
  const { shape } = g.value(node.inputs[0]!);
  const [batch, , ...plane] = shape;
  const count = [batch, ...plane].reduce<number>((n, d) => n * Number(d), 1);
  if (Number.isNaN(count)) {
    throw new VersusError('unsupported', `BatchNormalization in training of shape [${shape.join(', ')}]`, {
      where,
      next: 'give sizes for all dimensions',
    });
  }
  if (count < 2) {
    throw new VersusError(
      'input',
      `BatchNormalization in training of one value per channel, shape [${shape.join(', ')}]`,
      {
        where,
        next: 'use a larger batch',
      },
    );
  }
  return count;
}
