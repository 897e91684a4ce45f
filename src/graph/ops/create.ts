import type { Dim } from '../../core/graph.ts';
import type { DType, TensorData } from '../../core/tensor.ts';
import { fromBfloat16, fromFloat16 } from '../../core/tensor.ts';
import { subDims } from '../dims.ts';
import { dtypeOf } from '../dtypes.ts';
import { MAX_FOLDED, type OpContext, type OpEntry, type OpTable, typed } from './entry.ts';

/** Elements of a small constant for shape arithmetic; undefined for a large one. */
export function smallValue(dtype: DType, data: TensorData): readonly number[] | undefined {
  if (data.length > MAX_FOLDED) return undefined;
  const read = dtype === 'float16' ? fromFloat16 : dtype === 'bfloat16' ? fromBfloat16 : (x: number) => x;
  return Array.from(data as ArrayLike<number | bigint>, (x) => read(Number(x)));
}

const constant: OpEntry = {
  inputs: [0, 0],
  since: 1,
  floats: ['value_float', 'value_floats'],
  bytes: 'view',
  infer: (c) => {
    const { value_int, value_ints, value_float, value_floats } = c.node.attrs;
    if (value_int !== undefined) return [typed('int64', [], [c.int('value_int', 0)])];
    if (value_ints !== undefined)
      return [typed('int64', [c.ints('value_ints')!.length], c.ints('value_ints'))];
    if (value_float !== undefined) return [typed('float32', [], [c.float('value_float', 0)])];
    if (Array.isArray(value_floats))
      return [typed('float32', [value_floats.length], value_floats as number[])];
    const t = c.tensor('value') ?? c.fail('it has no numeric value');
    return [typed(t.dtype, t.shape, smallValue(t.dtype, t.data))];
  },
};

/** The element type that an attribute declares by its number; 0 and none mean `otherwise`. */
function declaredType(c: OpContext, attribute: string, otherwise: DType): DType {
  const code = c.int(attribute, 0);
  return code === 0 ? otherwise : (dtypeOf(code) ?? c.fail(`element type ${code} is not supported`));
}

const random: OpEntry = {
  inputs: [0, 1],
  since: 1,
  floats: ['mean', 'scale', 'seed', 'low', 'high'],
  infer: (c) => {
    const shape = c.has(0) ? c.shape(0) : (c.ints('shape') ?? c.fail('attribute shape is missing'));
    // The -Like operators take their input's type, where it is not declared.
    return [typed(declaredType(c, 'dtype', c.has(0) ? c.in(0).dtype : 'float32'), shape)];
  },
};

/** Operators that make tensors from nothing or from a shape. */
export const creation: OpTable = {
  Constant: constant,
  ConstantOfShape: {
    inputs: [1, 1],
    since: 9,
    infer: (c) => {
      const fill = c.tensor('value');
      const length = c.rank(0, 1)[0]!;
      const wanted = c.value(0);
      if (!wanted && typeof length !== 'number') c.fail('the rank of the result is not known');
      if (!wanted && (length as number) > 16) c.fail(`rank ${length} is too high`);
      const shape: readonly Dim[] = wanted ?? Array.from({ length: length as number }, () => c.fresh('dim'));
      if (shape.some((d) => typeof d === 'number' && !(d >= 0))) c.fail(`[${shape.join(', ')}] is no shape`);
      const dtype = fill?.dtype ?? 'float32';
      const element = fill ? smallValue(dtype, fill.data)?.[0] : 0;
      const known = shape.length <= 1 && typeof (shape[0] ?? 1) === 'number' && element !== undefined;
      const count = (shape[0] ?? 1) as number;
      const value = known && count <= MAX_FOLDED ? Array.from({ length: count }, () => element) : undefined;
      return [typed(dtype, shape, value)];
    },
  },
  Range: {
    inputs: [3, 3],
    since: 11,
    infer: (c) => {
      const dtype = c.sameTypes(0, 1, 2);
      const [start, limit, delta] = [0, 1, 2].map((i) => c.value(i)?.[0]);
      if (delta === 0) c.fail('a step of 0');
      if (start === undefined || limit === undefined || delta === undefined)
        return [typed(dtype, [c.fresh('range')])];
      if (typeof start === 'number' && typeof limit === 'number' && typeof delta === 'number') {
        const length = Math.max(0, Math.ceil((limit - start) / delta));
        if (!Number.isSafeInteger(length)) c.fail('its length is not finite');
        const small = length <= MAX_FOLDED;
        return [
          typed(dtype, [length], small ? Array.from({ length }, (_, i) => start + i * delta) : undefined),
        ];
      }
      return [typed(dtype, [delta === 1 ? subDims(limit, start) : c.fresh('range')])];
    },
  },
  EyeLike: {
    inputs: [1, 1],
    since: 9,
    infer: (c) => [typed(declaredType(c, 'dtype', c.in(0).dtype), c.rank(0, 2))],
  },
  RandomNormal: random,
  RandomUniform: random,
  RandomNormalLike: random,
  RandomUniformLike: random,
  QuantizeLinear: {
    inputs: [2, 3],
    since: 10,
    infer: (c) => [typed(c.has(2) ? c.in(2).dtype : declaredType(c, 'output_dtype', 'uint8'), c.shape(0))],
  },
  DequantizeLinear: { inputs: [2, 3], since: 10, infer: (c) => [typed(c.in(1).dtype, c.shape(0))] },
  DynamicQuantizeLinear: {
    inputs: [1, 1],
    outputs: 3,
    since: 11,
    infer: (c) => [typed('uint8', c.shape(0)), typed('float32', []), typed('uint8', [])],
  },
};
