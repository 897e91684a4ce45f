import {
  type Call,
  fail,
  input,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  scratch,
  span,
  store,
} from './kernel.ts';
import { broadcastShape, stretchedIndex } from './strided.ts';

/** out[m,n] += a[m,k] · b[k,n] on dense rows. */
function multiply(
  a: Float64Array,
  b: Float64Array,
  out: Float64Array,
  [m, k, n]: readonly [number, number, number],
  [atA, atB, at]: readonly [number, number, number],
): void {
  for (let i = 0; i < m; i++) {
    const row = at + i * n;
    for (let l = 0; l < k; l++) {
      const left = a[atA + i * k + l]!;
      for (let j = 0; j < n; j++) out[row + j]! += left * b[atB + l * n + j]!;
    }
  }
}

/** NumPy's matmul: 1-D operands are a row on the left and a column on the right, leading dimensions broadcast. */
export function matmulNumbers(
  c: Call,
  a: Float64Array,
  aShape: readonly number[],
  b: Float64Array,
  bShape: readonly number[],
): { shape: number[]; values: Float64Array } {
  if (aShape.length === 0 || bShape.length === 0) fail(c, 'scalars have no matrix product');
  const left = aShape.length === 1 ? [1, ...aShape] : aShape;
  const right = bShape.length === 1 ? [...bShape, 1] : bShape;
  const [m, k, n] = [left.at(-2)!, left.at(-1)!, right.at(-1)!];
  if (k !== right.at(-2)) fail(c, `shapes [${aShape.join(', ')}] and [${bShape.join(', ')}] don't fit`);
  const [leftBatch, rightBatch] = [left.slice(0, -2), right.slice(0, -2)];
  const batch = broadcastShape(c, leftBatch, rightBatch);
  const values = scratch(c, [...batch, m, n]);
  const [atLeft, atRight] = [stretchedIndex(leftBatch, batch), stretchedIndex(rightBatch, batch)];
  for (let i = 0; i < span(batch); i++) {
    multiply(a, b, values, [m, k, n], [atLeft(i) * m * k, atRight(i) * k * n, i * m * n]);
  }
  const shape = [...batch, ...(aShape.length === 1 ? [] : [m]), ...(bShape.length === 1 ? [] : [n])];
  return { shape, values };
}

const matmul: Kernel = (c) => {
  const [a, b] = [input(c, 0), input(c, 1)];
  const { shape, values } = matmulNumbers(c, numbers(a), a.shape, numbers(b), b.shape);
  return [store(a.dtype, shape, values)];
};

function transposed(values: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(values.length);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j]!;
  return out;
}

/** Y = α·A′·B′ + β·C. */
const gemm: Kernel = (c) => {
  const [a, b] = [input(c, 0), input(c, 1)];
  if (a.shape.length !== 2 || b.shape.length !== 2) fail(c, 'operands must be matrices');
  const [transA, transB] = [numberAttr(c, 'transA', 0) !== 0, numberAttr(c, 'transB', 0) !== 0];
  const [alpha, beta] = [numberAttr(c, 'alpha', 1), numberAttr(c, 'beta', 1)];
  const aShape = transA ? [a.shape[1]!, a.shape[0]!] : a.shape;
  const bShape = transB ? [b.shape[1]!, b.shape[0]!] : b.shape;
  const left = transA ? transposed(numbers(a), a.shape[0]!, a.shape[1]!) : numbers(a);
  const right = transB ? transposed(numbers(b), b.shape[0]!, b.shape[1]!) : numbers(b);
  const { shape, values } = matmulNumbers(c, left, aShape, right, bShape);
  const bias = c.inputs[2];
  if (bias) {
    if (broadcastShape(c, bias.shape, shape).join() !== shape.join())
      fail(c, 'C does not stretch to the product');
    const [added, at] = [numbers(bias), stretchedIndex(bias.shape, shape)];
    for (let i = 0; i < values.length; i++) values[i] = alpha * values[i]! + beta * added[at(i)]!;
  } else if (alpha !== 1) {
    for (let i = 0; i < values.length; i++) values[i]! *= alpha;
  }
  return [store(a.dtype, shape, values)];
};

export const matrix: KernelTable = { MatMul: matmul, Gemm: gemm };
