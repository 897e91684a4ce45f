import { numberAttr } from '../../../graph/kernels/kernel.ts';
import { input, type KernelTable, kernel, made, plain } from './kernel.ts';

export const matrix: KernelTable = {
  MatMul: kernel((c) => {
    const { tf } = c;
    const a = input(c, 0);
    const b = input(c, 1);
    // Vectors are matrices of one row or column, whose axis then goes again.
    const left = a.shape.length === 1 ? tf.expandDims(plain(c, a), 0) : plain(c, a);
    const right = b.shape.length === 1 ? tf.expandDims(plain(c, b), 1) : plain(c, b);
    let result = tf.matMul(left, right);
    if (a.shape.length === 1) result = tf.squeeze(result, [result.rank - 2]);
    if (b.shape.length === 1) result = tf.squeeze(result, [result.rank - 1]);
    return [made(result, a.dtype)];
  }),
  Gemm: kernel((c) => {
    const { tf } = c;
    const alpha = numberAttr(c, 'alpha', 1);
    const beta = numberAttr(c, 'beta', 1);
    const product = tf.matMul(
      plain(c, input(c, 0)),
      plain(c, input(c, 1)),
      numberAttr(c, 'transA', 0) === 1,
      numberAttr(c, 'transB', 0) === 1,
    );
    const scaled = alpha === 1 ? product : tf.mul(product, alpha);
    const bias = c.inputs[2];
    if (!bias) return [made(scaled, input(c, 0).dtype)];
    const added = plain(c, bias);
    return [made(tf.add(scaled, beta === 1 ? added : tf.mul(added, beta)), input(c, 0).dtype)];
  }),
};
