/**
 * What somebody writes first: one tfjs call per ONNX node, everything in the graph's own order. It is what the tfjs backend's
 * planning is measured against, and nothing else; only what ViT needs is there.
 */
import type * as Tf from '@tensorflow/tfjs-core';
import type { Graph, Node } from '../src/core/graph.ts';
import { type Tensor, type Tensors, toNumbers } from '../src/core/tensor.ts';

type Values = Map<string, Tf.Tensor>;
type Run = (x: readonly Tf.Tensor[], node: Node, tf: typeof Tf) => Tf.Tensor;

/** Shapes as the host knows them: on WebGPU in Node, tfjs reads no tensor at once. */
const known = new WeakMap<Tf.Tensor, readonly number[]>();

function list(x: Tf.Tensor): readonly number[] {
  return known.get(x) ?? [...x.dataSync()];
}

function shapeOf(tf: typeof Tf, numbers: readonly number[], shape = [numbers.length]): Tf.Tensor {
  const tensor = tf.tensor([...numbers], shape, 'int32');
  known.set(tensor, numbers);
  return tensor;
}

const ints = (node: Node, name: string): number[] => node.attrs[name] as number[];

const RUNS: Readonly<Record<string, Run>> = {
  Add: ([a, b], _, tf) => tf.add(a!, b!),
  Mul: ([a, b], _, tf) => tf.mul(a!, b!),
  Div: ([a, b], _, tf) => tf.div(a!, b!),
  Erf: ([x], _, tf) => tf.erf(x!),
  Softmax: ([x], _, tf) => tf.softmax(x!),
  MatMul: ([a, b], _, tf) => tf.matMul(a!, b!),
  Gemm: ([a, b, bias], node, tf) => tf.add(tf.matMul(a!, b!, false, node.attrs.transB === 1), bias!),
  Transpose: ([x], node, tf) => tf.transpose(x!, ints(node, 'perm')),
  Shape: ([x], _, tf) => shapeOf(tf, x!.shape),
  Concat: (all, node, tf) =>
    all.every((x) => known.has(x))
      ? shapeOf(tf, all.flatMap(list))
      : tf.concat([...all], Number(node.attrs.axis)),
  Expand: ([x, shape], _, tf) => tf.broadcastTo(x!, [...list(shape!)]),
  Gather: ([x, index], node, tf) =>
    known.has(x!)
      ? shapeOf(
          tf,
          list(index!).map((i) => list(x!)[i]!),
          index!.shape,
        )
      : tf.gather(x!, tf.cast(index!, 'int32'), Number(node.attrs.axis ?? 0)),
  Reshape: ([x, shape], _, tf) =>
    tf.reshape(
      x!,
      list(shape!).map((d, i) => (d === 0 ? x!.shape[i]! : d)),
    ),
  LayerNormalization: ([x, scale, shift], node, tf) => {
    const { mean, variance } = tf.moments(x!, -1, true);
    const spread = tf.sqrt(tf.add(variance, Number(node.attrs.epsilon)));
    return tf.add(tf.mul(tf.div(tf.sub(x!, mean), spread), scale!), shift!);
  },
  Conv: ([x, filter, bias], node, tf) => {
    const image = tf.transpose(x!, [0, 2, 3, 1]) as Tf.Tensor4D;
    const kernel = tf.transpose(filter!, [2, 3, 1, 0]) as Tf.Tensor4D;
    const out = tf.conv2d(image, kernel, ints(node, 'strides') as [number, number], 'valid');
    return tf.transpose(tf.add(out, bias!), [0, 3, 1, 2]);
  },
};

/** @returns a forward pass; throws for operators that ViT has not */
export function naive(tf: typeof Tf, graph: Graph, weights: Tensors): (image: Tf.Tensor) => Tf.Tensor {
  const put = (t: Tensor): Tf.Tensor =>
    t.dtype === 'float32'
      ? tf.tensor(t.data as Float32Array, t.shape as number[])
      : shapeOf(tf, [...toNumbers(t)], [...t.shape]);
  const constants: [string, Tf.Tensor][] = graph.params.map((param) => [
    param.name,
    put(param.data ? { dtype: param.dtype, shape: param.shape, data: param.data } : weights[param.name]!),
  ]);
  return (image) =>
    tf.tidy(() => {
      const values: Values = new Map([...constants, [graph.inputs[0]!.name, image]]);
      for (const node of graph.nodes) {
        const run = RUNS[node.op];
        if (!run) throw new Error(`the naive interpreter lacks ${node.op}`);
        values.set(
          node.outputs[0]!,
          run(
            node.inputs.map((name) => values.get(name)!),
            node,
            tf,
          ),
        );
      }
      return values.get(graph.outputs[0]!.name)!;
    });
}
