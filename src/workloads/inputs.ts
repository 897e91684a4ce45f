import type { Opened } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ValueInfo } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { random, seedOf } from '../core/random.ts';
import type { DType, Tensor, TensorData, Tensors } from '../core/tensor.ts';
import { allocate, elementCount, tensor, toFloat16, toNumbers } from '../core/tensor.ts';
import { fixedSize } from '../data/preprocess.ts';
import { exactQuotient, namesIn } from '../graph/dims.ts';

/** Sizes by the name of a symbolic dimension. */
export type Dims = Readonly<Record<string, number>>;

/** An input by name. @throws VersusError `unsupported` listing what there is. */
export function inputNamed(session: Opened, name: string): ValueInfo {
  const found = session.inputs.find((i) => i.name === name);
  if (found) return found;
  throw new VersusError('unsupported', `the graph has no input ${name}`, {
    next: `it has ${session.inputs.map((i) => i.name).join(', ') || 'none'}`,
  });
}

/**
 * The image input of a graph: its only input, or among several the only one of rank 4.
 * @throws VersusError `unsupported` when there is none or the others would need values too.
 */
export function imageInput(inputs: readonly ValueInfo[]): ValueInfo {
  const images = inputs.filter((i) => i.shape.length === 4);
  if (images.length === 1 && inputs.length === 1) return images[0]!;
  throw new VersusError('unsupported', 'the workload feeds graphs with exactly one input, an image batch', {
    where: inputs.map((i) => `${i.name} [${i.shape.join(', ')}]`).join(', ') || 'no inputs',
    next: 'export the model with one input of shape [batch, channels, height, width]',
  });
}

/**
 * Sizes of an image input's symbolic dimensions: the first is the batch, then `model.dims`, then the size that the
 * model's preprocessing yields. Names are those of the graph, so that costs can be inferred with them too.
 *
 * @throws VersusError `unsupported` for a fixed batch of another size, `usage` for a dimension nobody gave.
 */
export function imageDims(input: ValueInfo, model: ModelDef, batch: number): Dims {
  const fixed = model.preprocess ? fixedSize(model.preprocess) : null;
  const dims: Record<string, number> = {};
  input.shape.forEach((dim, axis) => {
    if (typeof dim === 'number') {
      if (axis > 0 || dim === batch) return;
      throw new VersusError('unsupported', `the batch of this graph is fixed at ${dim}, asked for ${batch}`, {
        where: `${model.name}: input ${input.name}`,
        next: `run it with batch ${dim}, or export it with a dynamic batch`,
      });
    }
    const known = axis === 0 ? batch : (model.dims?.[dim] ?? [3, fixed?.height, fixed?.width][axis - 1]);
    if (known === undefined) {
      throw new VersusError('usage', `the size of dimension ${dim || axis} is open`, {
        where: `${model.name}: input ${input.name} [${input.shape.join(', ')}]`,
        next: `give the model \`dims: { ${JSON.stringify(dim)}: 224 }\` or a \`preprocess\``,
      });
    }
    dims[dim] = known;
  });
  return { ...model.dims, ...dims };
}

/** An input's shape with every symbolic dimension replaced. */
export function concrete(info: ValueInfo, dims: Dims): number[] {
  return info.shape.map((dim) => {
    const size = typeof dim === 'number' ? dim : dims[dim];
    if (size === undefined) {
      throw new VersusError('usage', `the size of dimension ${dim} is open`, {
        where: `input ${info.name} [${info.shape.join(', ')}]`,
        next: `give the model \`dims: { ${JSON.stringify(dim)}: … }\``,
      });
    }
    return size;
  });
}

/**
 * Sizes of the symbolic dimensions of inputs that are fed; where an input is declared as a multiple (`4*tokens`), of its
 * name too.
 */
export function fedDims(inputs: readonly ValueInfo[], feeds: Tensors): Dims {
  const dims: Record<string, number> = {};
  for (const { name, shape } of inputs) {
    shape.forEach((dim, axis) => {
      const size = feeds[name]?.shape[axis];
      if (typeof dim !== 'string' || size === undefined) return;
      dims[dim] = size;
      for (const part of namesIn(dim)) {
        const times = exactQuotient(dim, part);
        if (typeof times === 'number') dims[part] = size / times;
      }
    });
  }
  return dims;
}

/** Feeds in the number types that the inputs want. @throws VersusError `unsupported` for an input that is neither float nor int */
export function asFed(inputs: readonly ValueInfo[], feeds: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, t]) => {
      const dtype = inputs.find((i) => i.name === name)?.dtype ?? t.dtype;
      if (dtype === t.dtype) return [name, t];
      return [name, t.dtype === 'float32' ? asFloat(t, dtype) : asInts(dtype, t.shape, toNumbers(t))];
    }),
  );
}

const FLOATS = new Set<DType>(['float32', 'float64', 'float16']);

/**
 * Seeded values: floats are uniform with mean 0 and standard deviation 1, which is what normalised images have; bytes
 * are uniform over 0…255 where a graph takes raw pixels.
 */
export function drawImages(info: ValueInfo, shape: readonly number[], seed: number): Tensor {
  const draw = random(seedOf(info.name, seed));
  const count = elementCount(shape);
  if (info.dtype === 'uint8') {
    return tensor(
      'uint8',
      shape,
      Uint8Array.from({ length: count }, () => draw.below(256)),
    );
  }
  const spread = Math.sqrt(12);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = (draw.uniform() - 0.5) * spread;
  return asFloat(tensor('float32', shape, values), info.dtype);
}

/** Seeded bytes as float32, for what takes pixels as they are. */
export function drawBytes(shape: readonly number[], seed: number): Tensor {
  const draw = random(seedOf('pixels', seed));
  const values = Float32Array.from({ length: elementCount(shape) }, () => draw.below(256));
  return tensor('float32', shape, values);
}

/** Floats in the float type that an input wants. @throws VersusError `unsupported` for an input of another type. */
export function asFloat(t: Tensor, dtype: DType): Tensor {
  if (t.dtype === dtype) return t;
  if (!FLOATS.has(dtype)) {
    throw new VersusError('unsupported', `an image input of ${dtype}`, { next: 'export it as float32' });
  }
  const out = allocate(dtype, t.data.length) as Exclude<TensorData, BigInt64Array | BigUint64Array>;
  const values = toNumbers(t);
  for (let i = 0; i < out.length; i++) out[i] = dtype === 'float16' ? toFloat16(values[i]!) : values[i]!;
  return tensor(dtype, t.shape, out);
}

/** Whole numbers in the integer type that an input wants. */
export function asInts(dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor {
  if (dtype === 'int64') {
    return tensor('int64', shape, BigInt64Array.from(Array.from(values, (v) => BigInt(v))));
  }
  const out = allocate(dtype, values.length) as Exclude<TensorData, BigInt64Array | BigUint64Array>;
  for (let i = 0; i < values.length; i++) out[i] = values[i]!;
  return tensor(dtype, shape, out);
}
