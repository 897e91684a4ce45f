import type { Node } from '../../../core/graph.ts';
import type { DType } from '../../../core/tensor.ts';
import { dtypeOf } from '../../../graph/dtypes.ts';
import { numberAttr } from '../../../graph/kernels/kernel.ts';
import { isFloat, type Value } from '../value.ts';
import { flatly } from './fold.ts';
import {
  type Call,
  device,
  fail,
  floats,
  input,
  type Kernel,
  type KernelTable,
  made,
  orderOf,
  same,
} from './kernel.ts';

type Target = (node: Node, inputs: readonly (Value | undefined)[]) => DType | undefined;

/**
 * Among floats the engine has one type; a bool becomes any. Whole numbers are made on the host, from floats too: there int64 is
 * int64, and what lies beyond a type's range comes out the same on every engine.
 */
const cast = (to: Target): Kernel => ({
  host: (inputs, node) => {
    const [from, dtype] = [inputs[0]?.dtype, to(node, inputs)];
    if (!from || !dtype || inputs[0]!.shape.includes(0)) return true;
    return from !== dtype && !isFloat(dtype) && dtype !== 'bool' && from !== 'bool';
  },
  run: (c: Call) => {
    const { tf } = c;
    const x = input(c, 0);
    const dtype = to(c.node, c.inputs) ?? fail(c, `element type ${numberAttr(c, 'to', 0)} is unknown`);
    const [tensor, order] = [device(c, x), orderOf(x)];
    if (x.dtype === dtype || (isFloat(x.dtype) && isFloat(dtype))) return [same(c, tensor, dtype, order)];
    if (dtype === 'bool') {
      // A cast to bool cuts the number down to a byte on wasm.
      const zero = tf.scalar(0, tensor.dtype as 'float32');
      return [
        made(
          flatly(c, tensor, (t) => tf.notEqual(t, zero)),
          'bool',
          order,
        ),
      ];
    }
    const cast = flatly(c, tensor, (t) => (isFloat(dtype) ? floats(c, t) : tf.cast(t, 'int32')));
    return [made(cast, dtype, order)];
  },
});

/** Conversion of element types. */
export const casts: KernelTable = {
  Cast: cast((node) => dtypeOf(numberAttr({ node }, 'to', 0))),
  CastLike: cast((_, inputs) => inputs[1]?.dtype),
};
