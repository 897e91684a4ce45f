import type { DType } from '../../core/tensor.ts';
import { dtypeOf } from '../dtypes.ts';
import {
  input,
  isFloat,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  refuse,
  store,
} from './kernel.ts';

function convert(to: (c: Parameters<Kernel>[0]) => DType): Kernel {
  return (c) => {
    const x = input(c, 0);
    const dtype = to(c);
    if (dtype === x.dtype) return [x];
    // Whole numbers keep all 64 bits, which float64 would not.
    if (x.data instanceof BigInt64Array && !isFloat(dtype) && dtype !== 'bool') {
      const bits = dtype === 'uint64' || dtype === 'uint32' ? 32 : 31;
      if (dtype === 'uint64') return [{ dtype, shape: x.shape, data: new BigUint64Array(x.data) }];
      const wrapped = Float64Array.from(x.data, (v) =>
        Number(bits === 32 ? BigInt.asUintN(32, v) : BigInt.asIntN(32, v)),
      );
      return [store(dtype, x.shape, wrapped)];
    }
    return [store(dtype, x.shape, numbers(x))];
  };
}

/** Conversion of element types: floats to whole numbers towards zero, whole numbers among each other modulo 2ⁿ. */
export const cast: KernelTable = {
  Cast: convert(
    (c) => dtypeOf(numberAttr(c, 'to', 0)) ?? refuse(c, `element type ${numberAttr(c, 'to', 0)}`),
  ),
  CastLike: convert((c) => input(c, 1).dtype),
};
