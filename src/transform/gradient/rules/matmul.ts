import type { GraphBuilder, Value } from '../../../graph/builder.ts';
import { type Rule, type RuleTable, unbroadcast } from '../rule.ts';

/** The last two axes exchanged. */
function swapped(g: GraphBuilder, x: Value): Value {
  const rank = x.shape.length;
  const perm = Array.from({ length: rank }, (_, i) => i);
  return g.transpose(x, [...perm.slice(0, -2), rank - 1, rank - 2]);
}

/** Y = A B per matrix of a batch: dA = dY Bᵀ, dB = Aᵀ dY, summed over the axes of the batch that were stretched. */
const matMul: Rule = (b) => {
  const { g } = b;
  const [left, right] = [b.in(0), b.in(1)];
  // A vector is a matrix of one row, or of one column.
  const a = left.shape.length === 1 ? g.unsqueeze(left, [0]) : left;
  const c = right.shape.length === 1 ? g.unsqueeze(right, [1]) : right;
  let dy = b.dy;
  if (right.shape.length === 1) dy = g.unsqueeze(dy, [-1]);
  if (left.shape.length === 1) dy = g.unsqueeze(dy, [-2]);
  const fitted = (gradient: Value, operand: Value, as: Value): Value => {
    const summed = unbroadcast(b, gradient, as);
    return as === operand ? summed : g.reshape(summed, b.sizes(operand));
  };
  return [
    b.wanted(0) ? fitted(g.matmul(dy, swapped(g, c)), left, a) : null,
    b.wanted(1) ? weightGradient() : null,
  ];

  function weightGradient(): Value {
    // A matrix that every matrix of the batch was multiplied with: one product over all rows, not one each and their sum.
    if (c.shape.length === 2 && a.shape.length > 2) {
      const [k, n] = [Number(a.shape.at(-1)), Number(dy.shape.at(-1))];
      const rows = b.sizes(a).reduce((x, d) => x * d, 1) / k;
      const flat = g.gemm(g.reshape(a, [rows, k]), g.reshape(dy, [rows, n]), null, { transA: 1 });
      return fitted(flat, right, c);
    }
    return fitted(g.matmul(swapped(g, a), dy), right, c);
  }
};

/** Y = α A' B' + β C, where A' and B' are A and B or their transposes. */
const gemm: Rule = (b) => {
  const { g, dy } = b;
  const [a, c] = [b.in(0), b.in(1)];
  const [transA, transB] = [b.int('transA', 0), b.int('transB', 0)] as [0 | 1, 0 | 1];
  const alpha = Number(b.node.attrs.alpha ?? 1);
  const beta = Number(b.node.attrs.beta ?? 1);
  const scaled = alpha === 1 ? {} : { alpha };
  const gradient = (i: number): Value => {
    if (i === 0) {
      return transA
        ? g.gemm(c, dy, null, { ...scaled, ...(transB && { transA: 1 }), transB: 1 })
        : g.gemm(dy, c, null, { ...scaled, ...(!transB && { transB: 1 }) });
    }
    return transB
      ? g.gemm(dy, a, null, { ...scaled, transA: 1, ...(transA && { transB: 1 }) })
      : g.gemm(a, dy, null, { ...scaled, ...(!transA && { transA: 1 }) });
  };
  const bias = (): Value => {
    const summed = unbroadcast(b, dy, b.in(2));
    return beta === 1 ? summed : g.mul(summed, beta);
  };
  return [
    b.wanted(0) ? gradient(0) : null,
    b.wanted(1) ? gradient(1) : null,
    ...(b.node.inputs.length > 2 ? [b.wanted(2) ? bias() : null] : []),
  ];
};

/** Matrix products. */
export const products: RuleTable = { MatMul: matMul, Gemm: gemm };
