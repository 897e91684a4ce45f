import type { Attribute, Graph, TensorAttribute, ValueInfo } from '../../src/core/graph.ts';
import { type DType, type Tensor, type Tensors, tensor, toNumbers } from '../../src/core/tensor.ts';
import { codeOf } from '../../src/graph/dtypes.ts';

const wide = (dtype: DType): DType => (dtype === 'float32' ? 'float64' : dtype);
const info = (v: ValueInfo): ValueInfo => ({ ...v, dtype: wide(v.dtype) });
const isTensor = (a: Attribute): a is TensorAttribute =>
  typeof a === 'object' && 'kind' in a && a.kind === 'tensor';

/** A float32 tensor in float64; others as they are. */
export function widened(t: Tensor): Tensor {
  return t.dtype === 'float32' ? tensor('float64', t.shape, Float64Array.from(t.data as Float32Array)) : t;
}

/** A graph in float64, in which differences of two losses have digits left. */
export function inDouble(graph: Graph): Graph {
  const { values: _, ...rest } = graph;
  return {
    ...rest,
    inputs: graph.inputs.map(info),
    outputs: graph.outputs.map(info),
    params: graph.params.map(({ data, ...p }) => ({
      ...p,
      dtype: wide(p.dtype),
      ...(data && { data: widened({ dtype: p.dtype, shape: p.shape, data }).data }),
    })),
    nodes: graph.nodes.map((n) => ({
      ...n,
      attrs: Object.fromEntries(
        Object.entries(n.attrs).map(([name, a]) => [
          name,
          n.op === 'Cast' && a === codeOf('float32')
            ? codeOf('float64')
            : isTensor(a)
              ? { ...a, ...widened(a) }
              : a,
        ]),
      ),
    })),
  };
}

export const inDoubles = (tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, widened(t)]));

/** Σ a · b over all elements of all tensors, by name. */
export function dot(a: Tensors, b: Tensors): number {
  let sum = 0;
  for (const name of Object.keys(a)) {
    const [x, y] = [toNumbers(a[name]!), toNumbers(b[name]!)];
    for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  }
  return sum;
}
