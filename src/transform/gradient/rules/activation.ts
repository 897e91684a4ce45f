import type { Value } from '../../../graph/builder.ts';
import {
  asNumber,
  type Backward,
  masked,
  type Rule,
  type RuleTable,
  step,
  unary,
  unbroadcast,
} from '../rule.ts';

/** dx = dy · f, with f the derivative. */
const times = (derivative: (b: Backward) => Value): Rule => unary((b) => b.g.mul(b.dy, derivative(b)));

const hardSigmoid = (b: Backward, x: Value, alpha: number, beta: number): Value =>
  b.g.op('HardSigmoid', [x], { alpha, beta })[0]!;

/** Φ(x) + x·φ(x), with the normal distribution's Φ = ½ + ½ erf(x ÷ √2) and φ = e^(−x²⁄2) ÷ √(2π). */
function erfGelu(b: Backward): Value {
  const { g } = b;
  const u = g.mul(b.in(0), Math.SQRT1_2);
  // ½ + ½ erf is between 0 and 1, so this line clips nothing and is one node instead of two.
  const whole = hardSigmoid(b, g.erf(u), 0.5, 0.5);
  // e^(−u²) ÷ √π with the factor in the exponent, where it costs no pass.
  const bell = g.exp(g.sub(-Math.log(Math.PI) / 2, g.mul(u, u)));
  return g.add(whole, g.mul(u, bell));
}

/** y = x·σ(v), for ½(1 + tanh(v⁄2)) = σ(v): σ + y(1 − σ)·v′ with v = x(c + k·x²), v′ = c + 3k·x². */
function tanhGelu(b: Backward): Value {
  const { g } = b;
  const x = b.in(0);
  const c = 2 * Math.sqrt(2 / Math.PI);
  const bend = g.mul(g.mul(x, x), 0.044715 * c);
  const gate = g.sigmoid(g.mul(x, g.add(bend, c)));
  const slope = g.add(g.mul(bend, 3), c);
  return g.add(gate, g.mul(g.mul(g.mul(x, gate), g.sub(1, gate)), slope));
}

/** y = x·σ(αx), as SiLU and QuickGELU: with z = αx it is σ(z) + z·σ(z)·(1 − σ(z)) = σ(z) + αy·(1 − σ(z)). */
function swish(b: Backward, alpha: number): Value {
  const { g } = b;
  const scaled = (x: Value): Value => (alpha === 1 ? x : g.mul(x, alpha));
  const [gate, y] = [g.sigmoid(scaled(b.in(0))), scaled(b.out())];
  return g.add(gate, g.mul(y, g.sub(1, gate)));
}

/** x·tanh(s(x)) with s = softplus and s′ = σ: tanh(s) + x·σ(x)·(1 − tanh²(s)). */
function mish(b: Backward): Value {
  const { g } = b;
  const x = b.in(0);
  const t = g.tanh(g.op('Softplus', [x])[0]!);
  return g.add(t, g.mul(g.mul(x, g.sigmoid(x)), g.sub(1, g.mul(t, t))));
}

/** h + x·h′ with h = HardSigmoid(x; 1⁄6, ½), which rises strictly between its bounds. */
function hardSwish(b: Backward): Value {
  const { g } = b;
  const h = hardSigmoid(b, b.in(0), 1 / 6, 0.5);
  return g.add(h, masked(b, g.mul(b.in(0), 1 / 6), between(b, h)));
}

const between = (b: Backward, h: Value): Value => b.g.and(b.g.greater(h, 0), b.g.less(h, 1));

/** One slope where x > 0, another elsewhere: low + (high − low)·step. */
function kinked(b: Backward, x: Value, low: number, high: number): Value {
  const above = step(b, x);
  const scaled = high - low === 1 ? above : b.g.mul(above, high - low);
  return low === 0 ? scaled : b.g.add(scaled, low);
}

/** Where the branch below 0 is α(eˣ − 1), its derivative is the result plus α; above it is a line. */
function exponential(b: Backward, alpha: number, above: number): Value {
  const { g } = b;
  const y = b.out();
  // As steep at 0 as the line: the result changes its sign where x does, and one node picks the branch.
  if (alpha === above && alpha > 0) return g.add(g.minimum(y, 0), alpha);
  return g.where(g.greater(b.in(0), 0), g.expand(g.scalar(above, y.dtype), g.dims(y.shape)), g.add(y, alpha));
}

/** y = x, and x·slope below 0. The slope stretches to x. */
const prelu: Rule = (b) => {
  const { g, dy } = b;
  const [x, slope] = [b.in(0), b.in(1)];
  return [
    b.wanted(0) ? g.where(g.less(x, 0), g.mul(dy, slope), dy) : null,
    b.wanted(1) ? unbroadcast(b, g.mul(dy, g.minimum(x, 0)), slope) : null,
  ];
};

/** Inside the bounds, these included, the gradient goes to x; outside to the bound. */
const clip: Rule = (b) => {
  const { g, dy } = b;
  const x = b.in(0);
  const bound = (input: number, beyond: (limit: Value) => Value): Value | null =>
    b.wanted(input) ? unbroadcast(b, masked(b, dy, beyond(b.in(input))), b.in(input)) : null;
  return b.only(
    // What a bound changed is not equal to its result.
    b.wanted(0) ? masked(b, dy, g.equal(x, b.out())) : null,
    bound(1, (low) => g.less(x, low)),
    bound(2, (high) => g.greater(x, high)),
  );
};

const inside = (b: Backward): Value => asNumber(b, between(b, b.out()), b.out());

/**
 * Activations. Each is one rule, for its gradient costs a fraction of what those of its pieces would: on a processor every
 * node is a pass over memory. They read the operand and compute again what forward had in between, which then need not be kept;
 * where the result tells the derivative, or saves a pass (Relu, Sigmoid, Tanh, Elu, Swish), it is read, for the next product keeps it.
 */
export const activations: RuleTable = {
  Relu: times((b) => step(b, b.out())),
  // y(1 − y)
  Sigmoid: unary((b) => b.g.mul(b.g.mul(b.dy, b.out()), b.g.sub(1, b.out()))),
  // 1 − y²
  Tanh: times((b) => b.g.sub(1, b.g.mul(b.out(), b.out()))),
  Gelu: times((b) => (b.text('approximate', 'none') === 'tanh' ? tanhGelu(b) : erfGelu(b))),
  Swish: times((b) => swish(b, b.float('alpha', 1))),
  Mish: times(mish),
  HardSwish: times(hardSwish),
  HardSigmoid: times((b) => b.g.mul(inside(b), b.float('alpha', 0.2))),
  Softplus: times((b) => b.g.sigmoid(b.in(0))),
  // 1 ÷ (1 + |x|)²
  Softsign: unary((b) => {
    const size = b.g.add(b.g.op('Abs', [b.in(0)])[0]!, 1);
    return b.g.div(b.dy, b.g.mul(size, size));
  }),
  LeakyRelu: times((b) => kinked(b, b.in(0), b.float('alpha', 0.01), 1)),
  ThresholdedRelu: times((b) => step(b, b.g.sub(b.in(0), b.float('alpha', 1)))),
  Shrink: times((b) => step(b, b.g.sub(b.g.op('Abs', [b.in(0)])[0]!, b.float('lambd', 0.5)))),
  Elu: times((b) => exponential(b, b.float('alpha', 1), 1)),
  Selu: times((b) => {
    const gamma = b.float('gamma', 1.0507009873554805);
    return exponential(b, b.float('alpha', 1.6732632423543772) * gamma, gamma);
  }),
  // e^(x ÷ α) below 0
  Celu: times((b) => b.g.exp(b.g.minimum(b.g.div(b.in(0), b.float('alpha', 1)), 0))),
  PRelu: prelu,
  Clip: clip,
};

/** onnxruntime's own. */
export const contribActivations: RuleTable = {
  Gelu: times(erfGelu),
  FastGelu: times((b) =>
    b.has(1) ? b.fail('it adds a bias', 'write the sum as a node of its own') : tanhGelu(b),
  ),
  QuickGelu: times((b) => swish(b, b.float('alpha', 1.702))),
};
