import { numberAttr } from '../../../graph/kernels/kernel.ts';
import { unpackedWeight } from '../../../graph/kernels/matmul-nbits.ts';
import type { Value } from '../value.ts';
import { combined } from './broadcast.ts';
import { type Call, fail, form, input, type Kernel, type KernelTable } from './kernel.ts';
import { products } from './matmul.ts';

/** A · Wᵀ + bias with a weight in blocks of 2, 4 or 8 bits, which becomes float32 once. */
const matmulNBits: Kernel = {
  reads: [1, 2, 3, 4],
  run: (c) => {
    const { tf } = c;
    const [a, packed, bias] = [input(c, 0), input(c, 1), c.inputs[5]];
    const [k, n] = [numberAttr(c, 'K', 0), numberAttr(c, 'N', 0)];
    if (bias && bias.shape.reduce((count, d) => count * d, 1) !== n)
      fail(c, `the bias does not fit N = ${n}`);
    const weight: Value = {
      dtype: 'float32',
      shape: [k, n],
      fixed: false,
      device: form(c, packed, 'unpacked', () => tf.tensor(unpacked(c), [k, n], 'float32')),
    };
    const product = products.MatMul!.run({ ...c, inputs: [a, weight] })[0]!;
    if (!bias) return [product];
    return [combined(c, [{ ...product, fixed: false }, bias], a.dtype, ([x, y]) => tf.add(x!, y!))];
  },
};

/** Its numbers, by the reference interpreter's rules. */
function unpacked({ node, opset, inputs }: Call): Float32Array {
  const tensors = inputs.map((value, i) => (i === 0 ? undefined : value?.host));
  return unpackedWeight({ node, opset, inputs: tensors }, (k, n) => new Float32Array(k * n));
}

/** The operators of onnxruntime's own domain. */
export const blocked: KernelTable = { MatMulNBits: matmulNBits };
