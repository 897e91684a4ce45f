import type { Graph } from '../../core/graph.ts';
import { elementCount } from '../../core/tensor.ts';
import type { Numbers } from '../../transform/optimise.ts';
import type { Engine } from './engine.ts';
import { upload } from './kernels/kernel.ts';
import { isFloat, type Value } from './value.ts';

/** Small tensors stay on the host: shapes, axes, scalars, what is folded into tables. */
const SMALL = 256;

/**
 * The parameters of a graph as values. Weights go to the engine one by one and leave the host, so that at most one of them is
 * in both places.
 */
export async function constants(
  graph: Graph,
  numbers: Numbers,
  engine: Engine,
): Promise<ReadonlyMap<string, Value>> {
  const readers = new Map<string, number>();
  for (const node of graph.nodes) {
    for (const name of new Set(node.inputs)) readers.set(name, (readers.get(name) ?? 0) + 1);
  }
  for (const output of graph.outputs) readers.set(output.name, Number.POSITIVE_INFINITY);
  const values = new Map<string, Value>();
  for (const param of graph.params) {
    if (!readers.has(param.name)) continue;
    const tensor = await numbers.read(param);
    const { dtype, shape } = tensor;
    const common = {
      dtype,
      shape,
      fixed: true,
      ...(readers.get(param.name) === 1 ? { sole: true as const } : {}),
    };
    values.set(
      param.name,
      isFloat(dtype) && elementCount(shape) > SMALL
        ? {
            ...common,
            device: upload(engine, tensor),
          }
        : { ...common, host: tensor },
    );
  }
  return values;
}
