import type { GraphBuilder, Value } from '../../graph/builder.ts';
import type { Operand } from '../../graph/fluent.ts';
import type { State } from './state.ts';

/** What happens to gradients before they are used. */
export interface Gradients {
  /** Their norm, all together, is at most this: torch's `clip_grad_norm_`. */
  readonly clipNorm?: number;
  /** Micro-batches of a step: the gradient is the mean of theirs. All but the last go through `addAccumulation`. */
  readonly microBatches?: number;
  /** The float32 scalar that the loss was multiplied with. A step whose gradients overflowed then changes nothing. */
  readonly lossScale?: Value;
}

/**
 * What all gradients of a step are to be multiplied with, as a scalar that the optimiser makes part of its own: with moments
 * kept for unscaled gradients, the next is k · (f_before ÷ f) · m + g in place of k · m + f · g, which saves a pass over g.
 */
export interface Factor {
  readonly now: Operand;
  /** k · (last step's factor ÷ this one's)^power: what is kept of a moment. */
  readonly keep: (k: number, power: 1 | 2) => Operand;
  /** A scalar where the update is taken, `otherwise` where it is not. */
  readonly taken: (value: Operand, otherwise: number) => Operand;
}

/** The largest float32; of NaN and infinity `x <= LARGEST` is false. */
const LARGEST = 3.4028234663852886e38;
/** Of `clip_grad_norm_`. */
const CLIP_EPS = 1e-6;

export const inSingle = (g: GraphBuilder, gradient: Value): Value =>
  gradient.dtype === 'float32' ? gradient : g.cast(gradient, 'float32');

/** The sum of the gradients of all micro-batches, this one's the last; accumulators are left at zero. */
export function accumulated(
  g: GraphBuilder,
  { name, gradient }: { readonly name: string; readonly gradient: Value },
  state: State,
  { microBatches = 1 }: Gradients,
  scalar: Value,
): Value {
  if (microBatches === 1) return gradient;
  let sum = gradient;
  state.add('accumulator', name, gradient.shape, (before) => {
    sum = g.add(before, gradient);
    // A zero that depends on an input: runtimes would make a stored tensor of a constant one.
    return g.expand(g.sub(scalar, scalar), g.dims(gradient.shape));
  });
  return sum;
}

interface Scaled {
  readonly factor: Factor;
  readonly gradients: readonly Value[];
  readonly norm?: Value;
  readonly finite?: Value;
}

/**
 * Norm and factor of a step's gradients. The norm is one reading pass; where overflow is watched for, gradients are replaced
 * by zeros in one more, and the scalars by those that leave everything as it is.
 *
 * A sum of squares beyond float32 counts as overflow: gradients of float16 cannot come near it.
 *
 * @param moments whether sums of earlier gradients are kept, which the next factor has to fit
 */
export function factorOf(
  g: GraphBuilder,
  sums: readonly Value[],
  state: State,
  { clipNorm, microBatches = 1, lossScale }: Gradients,
  moments: boolean,
): Scaled {
  const always = (value: Operand): Operand => value;
  if (sums.length === 0 || (clipNorm === undefined && !lossScale))
    return { factor: { now: 1 / microBatches, keep: always, taken: always }, gradients: sums };
  const mean: Operand = lossScale ? g.div(1 / microBatches, lossScale) : 1 / microBatches;
  const squares = total(
    g,
    sums.map((sum) => sumOfSquares(g, sum)),
  );
  const root = g.sqrt(squares);
  const norm = mean === 1 ? root : g.mul(root, mean);
  const clip = clipNorm === undefined ? undefined : g.minimum(g.div(clipNorm, g.add(norm, CLIP_EPS)), 1);
  const wanted = clip ? (mean === 1 ? clip : g.mul(clip, mean)) : (mean as Value);
  const finite = lossScale && g.lessOrEqual(squares, LARGEST);
  const taken = finite ? (value: Operand, otherwise: number) => g.where(finite, value, otherwise) : always;
  let ratio: Value | undefined;
  const now = !moments
    ? wanted
    : state.add('factor', '', [], (before) => {
        const next = finite ? g.where(finite, wanted, before) : wanted;
        ratio = g.div(before, next);
        return next;
      });
  const keep = (k: number, power: 1 | 2): Operand =>
    taken(g.mul(power === 1 ? ratio! : g.mul(ratio!, ratio!), k), 1);
  return {
    factor: { now, keep, taken },
    gradients: finite ? sums.map((sum) => g.where(finite, sum, 0)) : sums,
    norm,
    ...(finite && { finite }),
  };
}

/** By rows first: one running float32 sum over millions of squares would lose the small ones. */
function sumOfSquares(g: GraphBuilder, x: Value): Value {
  const sizes = x.shape as readonly number[];
  if (sizes.length < 2) return g.op('ReduceSumSquare', [x], { keepdims: 0 })[0]!;
  const [rows, ...rest] = sizes as [number, ...number[]];
  const matrix = rest.length === 1 ? x : g.reshape(x, [rows, rest.reduce((n, d) => n * d, 1)]);
  const byRow =
    g.opset < 18
      ? g.op('ReduceSumSquare', [matrix], { axes: [1], keepdims: 0 })
      : g.op('ReduceSumSquare', [matrix, g.ints([1])], { keepdims: 0 });
  return g.reduceSum(byRow[0]!, undefined, false);
}

/** Pairs, then pairs of pairs. */
function total(g: GraphBuilder, scalars: readonly Value[]): Value {
  if (scalars.length === 1) return scalars[0]!;
  const half = Math.ceil(scalars.length / 2);
  return g.add(total(g, scalars.slice(0, half)), total(g, scalars.slice(half)));
}
