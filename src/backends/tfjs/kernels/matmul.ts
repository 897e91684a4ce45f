import type * as Tf from '@tensorflow/tfjs-core';
import { numberAttr } from '../../../graph/kernels/kernel.ts';
import { spend } from '../spent.ts';
import type { Value } from '../value.ts';
import { activated, activationOf, LINEAR } from './activation.ts';
import {
  type Call,
  device,
  fail,
  form,
  input,
  type Kernel,
  type KernelTable,
  kernel,
  type Made,
  made,
} from './kernel.ts';
import { batched, type Epilogue, matrices, multiplied } from './product.ts';

interface Product extends Epilogue {
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/** a · b of any ranks from 2 on. A weight, a matrix without a batch, is multiplied with all rows at once. */
function product(c: Call, a: Value, b: Value, options: Product = {}): Tf.Tensor {
  const { transA = false, transB = false } = options;
  const left = matrices(c, a, transA);
  const right = matrices(c, b, transB);
  if (left.shape.at(-1) !== right.shape.at(-2)) {
    fail(c, `the shapes [${a.shape}] and [${b.shape}] don't fit`);
  }
  const batch = right.shape.slice(0, -2);
  if (left.size > 0 && right.size > 0 && batch.every((d) => d === 1) && batch.length <= left.rank - 2) {
    const shape = [...left.shape.slice(0, -1), right.shape.at(-1)!];
    const result = multiplied(c, left, right, shape, options);
    spend(c.engine, b, right);
    return result;
  }
  const result = batched(c, left, right);
  return ended(c, result, options);
}

/** What a kernel could not end with itself. */
function ended(c: Call, x: Tf.Tensor, { bias, activation = LINEAR }: Epilogue): Tf.Tensor {
  return activated(c, bias ? c.tf.add(x, bias) : x, activation);
}

/** Vectors are matrices of one row or one column, whose axis then goes again. */
function matmul(c: Call): Made[] {
  const { tf } = c;
  const [a, b] = [input(c, 0), input(c, 1)];
  if (a.shape.length > 1 && b.shape.length > 1) return [made(product(c, a, b), a.dtype)];
  const left = a.shape.length > 1 ? a : widened(c, a, 0);
  const right = b.shape.length > 1 ? b : widened(c, b, 1);
  let result = product(c, left, right);
  if (a.shape.length === 1) result = tf.squeeze(result, [result.rank - 2]);
  if (b.shape.length === 1) result = tf.squeeze(result, [result.rank - 1]);
  return [made(result, a.dtype)];
}

function widened(c: Call, x: Value, axis: number): Value {
  const tensor = c.tf.expandDims(device(c, x), axis);
  return { dtype: x.dtype, shape: tensor.shape, fixed: false, device: tensor };
}

function gemm(c: Call): Made[] {
  const [a, b] = [input(c, 0), input(c, 1)];
  const transA = numberAttr(c, 'transA', 0) === 1;
  const transB = numberAttr(c, 'transB', 0) === 1;
  const columns = b.shape[transB ? 0 : 1]!;
  const alpha = numberAttr(c, 'alpha', 1);
  const beta = numberAttr(c, 'beta', 1);
  const addend = c.inputs[2];
  if (!addend || beta === 0) return [made(scaled(c, product(c, a, b, { transA, transB }), alpha), a.dtype)];
  const bias = addend.shape.length <= 1 && addend.shape[0] === columns && alpha === 1 && beta === 1;
  if (bias) return [made(product(c, a, b, { transA, transB, bias: device(c, addend) }), a.dtype)];
  const added = form(c, addend, `times ${beta}`, () => scaled(c, matrix(c, addend), beta));
  return [made(c.tf.add(scaled(c, product(c, a, b, { transA, transB }), alpha), added), a.dtype)];
}

const scaled = ({ tf }: Call, x: Tf.Tensor, factor: number): Tf.Tensor =>
  factor === 1 ? tf.clone(x) : tf.mul(x, factor);

const matrix = (c: Call, x: Value): Tf.Tensor => (x.shape.length < 2 ? device(c, x) : matrices(c, x, false));

export const products: KernelTable = {
  MatMul: kernel(matmul),
  Gemm: kernel(gemm),
};

/** The operators that our own passes make (transform/fuse-linear.ts). */
export const fusedProducts: KernelTable = {
  FusedMatMul: kernel((c) => {
    const [a, b] = [input(c, 0), input(c, 1)];
    const bias = c.inputs[2];
    const alpha = numberAttr(c, 'alpha', 1);
    const options = {
      transA: numberAttr(c, 'transA', 0) === 1,
      transB: numberAttr(c, 'transB', 0) === 1,
    };
    const epilogue: Epilogue = {
      ...(bias ? { bias: device(c, bias) } : {}),
      activation: activationOf(c),
    };
    if (alpha === 1) return [made(product(c, a, b, { ...options, ...epilogue }), a.dtype)];
    const result = c.tf.mul(product(c, a, b, options), alpha);
    return [made(ended(c, result, epilogue), a.dtype)];
  }),
} satisfies Record<string, Kernel>;
