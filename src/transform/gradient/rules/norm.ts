import type { Value } from '../../../graph/builder.ts';
import { type Backward, type Rule, type RuleTable, unbroadcast } from '../rule.ts';
import { filled } from './channels.ts';

const countOf = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);

/** Rows that are normalised, along the last axis. */
interface Rows {
  readonly x: Value;
  /** x̂, of the shape of x. */
  readonly hat: Value;
  /** 1 / √(variance + ε) or 1 / √(mean square + ε), one per row. */
  readonly inverse: Value;
}

/** x̂ as the forward operator with a scale of ones: one pass, and nothing of the forward graph is kept for it. */
export function centred(b: Backward, x: Value, epsilon: number): Rows {
  const ones = filled(b.g, x.dtype, b.sizes(x).at(-1)!, 1);
  const attrs = { axis: -1, epsilon };
  const [hat, , inverse] = b.g.op('LayerNormalization', [x, ones], attrs, { outputs: 3 });
  // Statistics of half floats are float32.
  return { x, hat: hat!, inverse: inverse!.dtype === x.dtype ? inverse! : b.g.cast(inverse!, x.dtype) };
}

function uncentred(b: Backward, x: Value, epsilon: number): Rows {
  const { g } = b;
  const square = g.reduceMean(g.mul(x, x), [-1], true);
  const inverse = g.reciprocal(g.sqrt(g.add(square, epsilon)));
  return { x, hat: g.mul(x, inverse), inverse };
}

/**
 * With y = γ · x̂ + β over rows of n elements: dγ = Σ dy · x̂ and dβ = Σ dy over the rows, and with h = dy · γ
 * dx = (h − mean(h) − x̂ · mean(h · x̂)) / √(variance + ε) (Ba et al., 2016); without the second term where the mean stays in
 * (Zhang and Sennrich, 2019).
 */
const trailing =
  (isCentred: boolean): Rule =>
  (b) => {
    const { g } = b;
    if (b.gradient(1) || b.gradient(2)) b.fail('its statistics are no part of a loss');
    const sizes = b.sizes(b.in(0));
    const axis = b.axis(b.int('axis', -1), sizes.length);
    const [lead, normalised] = [sizes.slice(0, axis), sizes.slice(axis)];
    const length = countOf(normalised);
    const asRows = (x: Value): Value => (normalised.length === 1 ? x : g.reshape(x, [...lead, length]));
    const dy = asRows(b.dy);
    const epsilon = Number(b.node.attrs.epsilon ?? 1e-5);
    const needsHat = b.wanted(0) || b.wanted(1);
    const rows = needsHat ? (isCentred ? centred : uncentred)(b, asRows(b.in(0)), epsilon) : null;
    const along = rows && g.mul(dy, rows.hat);
    const ofParameter = (x: Value, parameter: Value): Value => {
      const sum = lead.length > 0 ? g.reduceSum(x, [...lead.keys()], false) : x;
      return unbroadcast(b, normalised.length === 1 ? sum : g.reshape(sum, normalised), parameter);
    };
    const gradients = [
      b.wanted(0) ? inputOf(b, dy, rows!, along!, vectorOf(b, b.in(1), normalised), isCentred) : null,
      b.wanted(1) ? ofParameter(along!, b.in(1)) : null,
      b.wanted(2) ? ofParameter(dy, b.in(2)) : null,
    ];
    const [dx] = gradients;
    if (dx && normalised.length > 1) gradients[0] = g.reshape(dx, sizes);
    return gradients.slice(0, b.node.inputs.length);
  };

/** The scale with one number per element of a row. */
function vectorOf(b: Backward, scale: Value, normalised: readonly number[]): Value {
  const length = countOf(normalised);
  const isWhole = countOf(b.sizes(scale)) === length;
  const wide = isWhole ? scale : b.g.expand(scale, b.g.ints(normalised));
  return wide.shape.length === 1 ? wide : b.g.reshape(wide, [length]);
}

function inputOf(b: Backward, dy: Value, rows: Rows, along: Value, scale: Value, isCentred: boolean): Value {
  const { g } = b;
  const length = b.sizes(scale)[0]!;
  const h = g.mul(dy, scale);
  // mean(h · x̂) = (dy · x̂) γ / n, a product with a vector.
  const turn = g.matmul(along, g.reshape(g.div(scale, length), [length, 1]));
  const straight = isCentred ? g.sub(h, g.reduceMean(h, [-1], true)) : h;
  return g.mul(g.sub(straight, g.mul(rows.hat, turn)), rows.inverse);
}

/** Normalisations over the last axes. */
export const trailingNormalisations: RuleTable = {
  LayerNormalization: trailing(true),
  RMSNormalization: trailing(false),
};
