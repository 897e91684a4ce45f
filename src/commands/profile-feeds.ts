import { VersusError } from '../core/errors.ts';
import type { Graph, ValueInfo } from '../core/graph.ts';
import type { Tensors } from '../core/tensor.ts';
import { allocate, elementCount, tensor } from '../core/tensor.ts';
import { bindDim, namesIn } from '../graph/dims.ts';
import { asInts, drawImages } from '../workloads/inputs.ts';

type Dims = Readonly<Record<string, number>>;

const BATCH = /^(n|b|batch|batch_size|batchsize)$/i;

/**
 * Sizes of all symbolic dimensions of a graph's inputs: those that are given, the rest from `batch` where a dimension is
 * called so or is the first of an input that has no size of its own.
 *
 * @throws VersusError `usage` naming the dimensions that nobody gave, and those given that the graph lacks
 */
export function sizesOf(inputs: readonly ValueInfo[], given: Dims, known: Dims, batch: number): Dims {
  const open = [...new Set(inputs.flatMap(({ shape }) => shape.flatMap((dim) => namesIn(dim))))];
  const lacking = Object.keys(given).filter((name) => !open.includes(name));
  if (lacking.length > 0) {
    throw new VersusError('usage', `--dim: the graph has no dimension ${lacking.join(', ')}`, {
      next: open.length > 0 ? `it has ${open.join(', ')}` : 'all its dimensions are fixed',
    });
  }
  const first = new Set(inputs.map(({ shape }) => shape[0]));
  const sizes: Record<string, number> = {};
  const missing: string[] = [];
  for (const name of open) {
    const size =
      given[name] ?? (BATCH.test(name) ? batch : (known[name] ?? (first.has(name) ? batch : null)));
    if (size === null) missing.push(name);
    else sizes[name] = size;
  }
  if (missing.length === 0) return sizes;
  throw new VersusError('usage', `the size of dimension ${missing.join(', ')} is open`, {
    where: inputs.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', '),
    next: `add ${missing.map((name) => `--dim ${name}=128`).join(' ')}`,
  });
}

/**
 * Something to run any graph on: floats as normalised images have them, masks that hide nothing, positions that count up, and
 * the first of every table elsewhere, which no table lacks. Times of dense operators don't depend on values.
 */
export function feedsOf(graph: Pick<Graph, 'inputs'>, dims: Dims, seed: number): Tensors {
  return Object.fromEntries(
    graph.inputs.map((info) => {
      const shape = info.shape.map((dim) => bindDim(dim, dims) as number);
      return [info.name, valuesFor(info, shape, seed)];
    }),
  );
}

const FLOATS = /^(b?float|double)/;

function valuesFor(info: ValueInfo, shape: readonly number[], seed: number) {
  const { name, dtype } = info;
  const length = elementCount(shape);
  if (FLOATS.test(dtype) && dtype !== 'bfloat16') return drawImages(info, shape, seed);
  if (/mask/i.test(name)) return ones(dtype, shape);
  if (/position/i.test(name) && shape.length > 0 && (dtype === 'int64' || dtype === 'int32')) {
    const last = shape.at(-1)!;
    return asInts(
      dtype,
      shape,
      Array.from({ length }, (_, i) => i % last),
    );
  }
  return tensor(dtype, shape, allocate(dtype, length));
}

function ones(dtype: ValueInfo['dtype'], shape: readonly number[]) {
  const data = allocate(dtype, elementCount(shape));
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(1n);
  else data.fill(1);
  return tensor(dtype, shape, data);
}
