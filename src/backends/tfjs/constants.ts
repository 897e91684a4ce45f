import type { Graph, Node, Param } from '../../core/graph.ts';
import { elementCount, type Tensor } from '../../core/tensor.ts';
import type { Numbers } from '../../transform/optimise.ts';
import type { Engine } from './engine.ts';
import { upload } from './kernels/kernel.ts';
import { identity, type Order, permutation, sameOrder } from './order.ts';
import { isFloat, type Value } from './value.ts';

/** Small tensors stay on the host: shapes, axes, scalars, what is folded into tables. */
const SMALL = 256;

/**
 * The parameters of a graph as values. Weights go to the engine one by one, in the order in which their reader wants them, and leave
 * the host: at most one of them is in both places.
 *
 * @param params is emptied on the way, so that numbers that it carries can go as well
 */
export async function constants(
  graph: Graph,
  params: Param[],
  numbers: Numbers,
  engine: Engine,
): Promise<ReadonlyMap<string, Value>> {
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const name of new Set(node.inputs)) readers.set(name, [...(readers.get(name) ?? []), node]);
  }
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const values = new Map<string, Value>();
  for (let param = params.pop(); param; param = params.pop()) {
    const nodes = readers.get(param.name) ?? [];
    const isOutput = outputs.has(param.name);
    if (nodes.length === 0 && !isOutput) continue;
    const sole = nodes.length === 1 && !isOutput ? nodes[0]! : null;
    const tensor = await numbers.read(param);
    const { dtype, shape } = tensor;
    const common = { dtype, shape, fixed: true, ...(sole ? { sole: true as const } : {}) };
    const goes = isFloat(dtype) && elementCount(shape) > SMALL;
    values.set(
      param.name,
      goes
        ? { ...common, ...placed(engine, param, tensor, sole && wanted(sole, param)) }
        : { ...common, host: tensor },
    );
  }
  return values;
}

/** On the engine, its axes in the order that is wanted of it. */
function placed(
  engine: Engine,
  { name }: Param,
  tensor: Tensor,
  order: Order | null,
): Pick<Value, 'device' | 'order'> {
  const { tf } = engine;
  const put = () => upload({ tf, node: { ...NONE, name } }, tensor);
  const from = identity(tensor.shape.length);
  if (!order || sameOrder(order, from)) return { device: put() };
  return { device: tf.tidy(() => tf.transpose(put(), permutation(from, order))), order };
}

/** The order in which a node takes its weight, where one is best whatever the other inputs are. */
function wanted({ op, inputs, attrs }: Node, { name, shape }: Param): Order | null {
  if (inputs[1] !== name || inputs[0] === name) return null;
  // Height, width, channels, filters.
  if ((op === 'Conv' || op === 'FusedConv') && (attrs.group ?? 1) === 1 && shape.length > 2) {
    return [...identity(shape.length).slice(2), 1, 0];
  }
  if ((op === 'Gemm' || op === 'FusedMatMul') && attrs.transB === 1 && shape.length === 2) return [1, 0];
  return null;
}

const NONE = { op: 'initialiser', inputs: [], outputs: [], attrs: {} };
