import { VersusError } from '../core/errors.ts';
import type { Graph, ValueInfo } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { patchPositions } from '../core/positions.ts';
import { random, seedOf } from '../core/random.ts';
import { elementCount, type Tensor, type Tensors, tensor } from '../core/tensor.ts';
import { asInts, type Dims, drawImages } from '../workloads/inputs.ts';
import { vocabularyOf } from '../workloads/text.ts';
import { type Asked, shapeAt, sizesOf } from './sizes.ts';

/** Inputs that a graph is run on, drawn from a seed: equal on every backend and machine. */
export interface Drawn {
  readonly feeds: Tensors;
  readonly dims: Dims;
}

/**
 * A value for every input of a graph. Floats are uniform with mean 0 and standard deviation 1; ids lie within the table that they
 * index; masks hide nothing; positions count on behind the cache; other whole numbers are 0 or 1.
 *
 * @throws VersusError `usage` for open dimensions, `unsupported` for an input of a type that nothing here draws
 */
export function drawInputs(
  graphName: string,
  graph: Graph,
  model: ModelDef,
  asked: Asked & { readonly seed: number },
): Drawn {
  const dims = sizesOf(graphName, graph, model, asked);
  const feeds: Tensors = {};
  for (const input of graph.inputs) feeds[input.name] = draw(graph, input, dims, asked.seed);
  const { features } = feeds;
  // Histograms have no negative numbers, and some classifiers take their roots.
  if (model.features && features)
    feeds.features = { ...features, data: features.data.map(Math.abs as never) };
  return { feeds, dims };
}

function draw(graph: Graph, input: ValueInfo, dims: Dims, seed: number): Tensor {
  const { name, dtype } = input;
  const shape = shapeAt(input, dims);
  const count = elementCount(shape);
  if (dtype === 'bfloat16') {
    throw new VersusError('unsupported', `input ${name} is of bfloat16, which no backend is fed`, {
      where: `graph ${graph.name}`,
      next: 'export the model with inputs of float32 or float16',
    });
  }
  if (/mask/i.test(name) && !/^float/.test(dtype)) return filled(input, shape, () => 1);
  if (/^float/.test(dtype)) return drawImages(input, shape, seed);
  if (name === 'patch_positions' && shape.length === 2 && dtype === 'int64') return patches(shape[0]!);
  if (/position/i.test(name)) {
    const last = shape.at(-1) ?? 1;
    return filled(input, shape, (i) => (dims.past ?? 0) + (i % last));
  }
  const numbers = random(seedOf(name, seed));
  const below = vocabularyOf(graph, name) ?? limitOf(dtype);
  return filled(input, shape, () => numbers.below(below) - (dtype === 'int8' ? 128 : 0), count);
}

/** Quantised data and raw pixels use the whole of their type; what a whole number else means nobody knows, and 0 or 1 is safest. */
function limitOf(dtype: ValueInfo['dtype']): number {
  return dtype === 'uint8' || dtype === 'int8' ? 256 : 2;
}

function filled(
  { dtype }: ValueInfo,
  shape: readonly number[],
  at: (i: number) => number,
  count = elementCount(shape),
): Tensor {
  const values = Array.from({ length: count }, (_, i) => at(i));
  if (dtype === 'uint64') return tensor(dtype, shape, BigUint64Array.from(values.map(BigInt)));
  return asInts(dtype, shape, values);
}

/** Rows and columns of a grid of so many patches, as near to a square as they allow, in squares of 2 × 2 where they fit. */
function patches(count: number): Tensor {
  const merge = count % 4 === 0 ? 2 : 1;
  let rows = Math.floor(Math.sqrt(count));
  while (rows > 1 && (count % rows !== 0 || rows % merge !== 0 || (count / rows) % merge !== 0)) rows--;
  return patchPositions(Math.max(rows, merge), count / Math.max(rows, merge), merge);
}
