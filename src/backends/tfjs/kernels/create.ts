import { allocate, type DType, type Tensor } from '../../../core/tensor.ts';
import { dtypeOf } from '../../../graph/dtypes.ts';
import { numberAttr } from '../../../graph/kernels/kernel.ts';
import {
  device,
  fail,
  input,
  type Kernel,
  type KernelTable,
  type Made,
  orderOf,
  refuse,
  same,
} from './kernel.ts';

const onHost = (host: Tensor): Made => ({ dtype: host.dtype, shape: host.shape, host });

/** Ones on the k-th diagonal of a matrix of the input's shape. */
const eyeLike: Kernel = {
  host: () => false,
  run: (c) => {
    const x = input(c, 0);
    const [rows, columns] = x.shape as [number, number];
    if (x.shape.length !== 2) fail(c, 'the input is no matrix');
    const code = numberAttr(c, 'dtype', 0);
    const dtype: DType = code === 0 ? x.dtype : (dtypeOf(code) ?? fail(c, `element type ${code} is unknown`));
    const data = allocate(dtype, rows * columns);
    const one = ONES[dtype] ?? (data instanceof BigInt64Array || data instanceof BigUint64Array ? 1n : 1);
    const k = numberAttr(c, 'k', 0);
    for (let row = Math.max(0, -k); row < rows && row + k < columns; row++) {
      (data as Record<number, unknown>)[row * columns + row + k] = one;
    }
    return [onHost({ dtype, shape: x.shape, data })];
  },
};

/** 1 as bits, where a number is not its own representation. */
const ONES: Partial<Record<DType, number>> = { float16: 0x3c00, bfloat16: 0x3f80 };

/** At inference nothing is dropped; the mask, where asked for, is all true. */
const dropout: Kernel = {
  reads: [1, 2],
  host: () => false,
  run: (c) => {
    const x = input(c, 0);
    if (c.inputs[2]?.host?.data[0] && c.inputs[1]?.host?.data[0] !== 0) refuse(c, 'training mode');
    const data = new Uint8Array(x.shape.reduce((n, d) => n * d, 1)).fill(1);
    return [same(c, device(c, x), x.dtype, orderOf(x)), onHost({ dtype: 'bool', shape: x.shape, data })];
  },
};

/** Tensors from a shape. Constants, ranges and the places of non-zeros are made on the host. */
export const creation: KernelTable = {
  EyeLike: eyeLike,
  Dropout: dropout,
};
