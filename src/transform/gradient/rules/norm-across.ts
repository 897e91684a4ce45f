import type { Value } from '../../../graph/builder.ts';
import type { Rule, RuleTable } from '../rule.ts';
import { numbersOf } from './channels.ts';

/**
 * y = x / ‖x‖ along an axis. With s = Σ dy · y: dx = (dy − y · s) / ‖x‖ for p = 2, (dy − sign(x) · s) / ‖x‖ for p = 1. Zeros where
 * the norm is zero.
 */
const lpNorm: Rule = (b) => {
  const { g, dy } = b;
  const x = b.in(0);
  const axis = b.axis(b.int('axis', -1), x.shape.length);
  const p = b.int('p', 2);
  const size = p === 1 ? g.reduceSum(g.abs(x), [axis], true) : g.sqrt(g.reduceSum(g.mul(x, x), [axis], true));
  const isZero = g.equal(size, 0);
  const inverse = g.where(isZero, 0, g.reciprocal(g.where(isZero, 1, size)));
  const along = g.reduceSum(g.mul(dy, b.out()), [axis], true);
  const sign = (): Value => g.where(g.greater(x, 0), 1, g.where(g.less(x, 0), g.scalar(-1, x.dtype), 0));
  const normal = p === 1 ? sign() : b.out();
  return [g.mul(g.sub(dy, g.mul(normal, along)), inverse)];
};

/**
 * y = x · q^−β with q = bias + α / size · Σ x² over neighbouring channels: dx = dy · q^−β − 2αβ / size · x · Σ (dy · y / q), the sum
 * over the channels whose neighbour x was. Both sums are products with a band matrix.
 */
const localResponse: Rule = (b) => {
  const { g, dy } = b;
  const x = b.in(0);
  const sizes = b.sizes(x);
  const [batch, channels, ...plane] = sizes as [number, number, ...number[]];
  const attr = (name: string, otherwise: number): number => Number(b.node.attrs[name] ?? otherwise);
  const [size, alpha, beta, bias] = [
    attr('size', 1),
    attr('alpha', 1e-4),
    attr('beta', 0.75),
    attr('bias', 1),
  ];
  const before = Math.floor((size - 1) / 2);
  const band = (turned: boolean) => {
    const values = Float64Array.from({ length: channels ** 2 }, (_, i) => {
      const [row, column] = [Math.floor(i / channels), i % channels];
      const ahead = turned ? row - column : column - row;
      return ahead >= -before && ahead < size - before ? 1 : 0;
    });
    return numbersOf(g, x.dtype, [channels, channels], values, 'band');
  };
  const flat = [batch, channels, plane.reduce((n, d) => n * d, 1)];
  const [values, upstream, result] = [x, dy, b.out()].map((v) => g.reshape(v, flat)) as [
    typeof x,
    typeof x,
    typeof x,
  ];
  const q = g.add(g.mul(g.matmul(band(false), g.mul(values, values)), alpha / size), bias);
  const sums = g.matmul(band(true), g.div(g.mul(upstream, result), q));
  const turn = g.mul(g.mul(values, sums), (2 * alpha * beta) / size);
  return [g.reshape(g.sub(g.mul(upstream, g.pow(q, -beta)), turn), sizes)];
};

/** Normalisations without learnt parameters. */
export const acrossNormalisations: RuleTable = { LpNormalization: lpNorm, LRN: localResponse };
