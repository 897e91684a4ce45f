import type { Graph, Node, Param } from '../../core/graph.ts';
import { int64, type Tensor, tensor } from '../../core/tensor.ts';
import { type Match, rewriteAll } from '../rewrite.ts';
import { isOp } from '../view.ts';

/**
 * BatchNormalization in training mode as means of the batch and BatchNormalization with these: onnxruntime's WebGPU provider has
 * the latter only. The running statistics are momentum · old + (1 − momentum) · batch, with the variance of the population, as
 * ONNX defines them.
 *
 * Nodes whose input has an unknown rank, or is no float32, stay as they are.
 */
export async function lowerBatchNorm(graph: Graph): Promise<Graph> {
  return rewriteAll(graph, (node, view, fresh) => {
    if (!isOp(node, 'BatchNormalization') || !node.attrs.training_mode) return null;
    const x = view.type(node.inputs[0]);
    if (x?.dtype !== 'float32') return null;
    return lowered(node, x.shape.length, view.opset, fresh);
  });
}

function lowered(node: Node, rank: number, opset: number, fresh: (wanted: string) => string): Match {
  const stem = node.name || node.outputs[0]!;
  const params: Param[] = [];
  const nodes: Node[] = [];
  const constant = (name: string, { dtype, shape, data }: Tensor): string => {
    const param: Param = { name: fresh(`${stem}/${name}`), dtype, shape, role: 'constant', data };
    params.push(param);
    return param.name;
  };
  const add = (op: string, inputs: string[], attrs: Node['attrs'] = {}, as?: string): string => {
    const name = fresh(`${stem}/${op}`);
    const output = as ?? name;
    nodes.push({ op, name, inputs, outputs: [output], attrs });
    return output;
  };
  const axes = Array.from({ length: rank }, (_, i) => i).filter((axis) => axis !== 1);
  const listed = opset >= 18 ? [constant('axes', int64([axes.length], axes))] : [];
  const meanOf = (x: string, as?: string): string => {
    const attrs = opset >= 18 ? { keepdims: 0 } : { axes, keepdims: 0 };
    return add('ReduceMean', [x, ...listed], attrs, as);
  };
  const momentum = Number(node.attrs.momentum ?? 0.9);
  const [, runningMean, runningVariance] = node.outputs;
  // Without momentum the statistics of the batch are the results.
  const own = (result: string | undefined): string | undefined =>
    momentum === 0 && result ? result : undefined;
  const [x, scale, bias, oldMean, oldVariance] = node.inputs as [string, string, string, string, string];
  const mean = meanOf(x, own(runningMean));
  const spread = [-1, ...new Array<number>(rank - 2).fill(1)];
  const wide = add('Reshape', [mean, constant('shape', int64([spread.length], spread))]);
  const rest = add('Sub', [x, wide]);
  const variance = meanOf(add('Mul', [rest, rest]), own(runningVariance));
  const scalar = (value: number): string =>
    constant('momentum', tensor('float32', [], Float32Array.of(value)));
  const running = (result: string | undefined, old: string, batch: string): void => {
    if (!result || own(result)) return;
    const kept = add('Mul', [old, scalar(momentum)]);
    add('Add', [kept, add('Mul', [batch, scalar(1 - momentum)])], {}, result);
  };
  running(runningMean, oldMean, mean);
  running(runningVariance, oldVariance, variance);
  const { training_mode: _, momentum: _m, ...attrs } = node.attrs;
  const floats = node.floats?.filter((name) => name !== 'momentum');
  nodes.push({
    ...node,
    inputs: [x, scale, bias, mean, variance],
    outputs: [node.outputs[0]!],
    attrs,
    ...(floats && { floats }),
  });
  return { root: node, inner: [], nodes, params };
}
