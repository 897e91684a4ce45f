import type { Value } from '../../../graph/builder.ts';
import { asNumber, type Backward, masked, type Rule, type RuleTable, unbroadcast } from '../rule.ts';

/** A rule of two operands that broadcast: each gradient is made where it is wanted, and summed over stretched axes. */
const pair =
  (a: (b: Backward) => Value, second: (b: Backward) => Value): Rule =>
  (b) =>
    [a, second].map((make, i) => (b.wanted(i) ? unbroadcast(b, make(b), b.in(i)) : null));

/** A rule of any number of operands that broadcast, likewise. */
const many =
  (make: (b: Backward) => (operand: Value) => Value): Rule =>
  (b) => {
    const each = make(b);
    return b.node.inputs.map((_, i) => (b.wanted(i) ? unbroadcast(b, each(b.in(i)), b.in(i)) : null));
  };

/** p·x^(p − 1), without a power for the exponents that models have. */
function powerSlope(b: Backward, x: Value, exponent: number): Value {
  const { g } = b;
  if (exponent === 1) return b.dy;
  if (exponent === 2) return g.mul(g.mul(b.dy, x), 2);
  if (exponent === 3) return g.mul(g.mul(b.dy, g.mul(x, x)), 3);
  if (exponent === 0.5) return g.div(b.dy, g.mul(b.out(), 2));
  if (exponent === -1) return g.neg(g.mul(b.dy, g.mul(b.out(), b.out())));
  return g.mul(b.dy, g.mul(g.pow(x, exponent - 1), exponent));
}

/** x^p: dx = p·x^(p − 1), 0 where p is 0; dp = x^p · ln x, 0 where x is 0 and x^p is no pole (as PyTorch has it). */
const power: Rule = (b) => {
  const { g, dy } = b;
  const x = b.in(0);
  const given = b.in(1);
  const exponent = given.dtype === x.dtype ? given : g.cast(given, x.dtype);
  const known = g.known(given);
  const base = (): Value => {
    if (known?.length === 1 && given.shape.length <= x.shape.length) {
      return known[0] === 0 ? g.mul(dy, 0) : powerSlope(b, x, known[0]!);
    }
    const level = g.equal(exponent, 0);
    // Where p is 0 the power would be 1 ÷ x, and no number at 0.
    const lower = g.where(level, exponent, g.sub(exponent, 1));
    return g.mul(dy, g.mul(g.pow(x, lower), exponent));
  };
  const logarithm = (): Value => {
    const nought = g.and(g.equal(x, 0), g.greaterOrEqual(exponent, 0));
    const safe = g.add(x, asNumber(b, nought, x));
    return g.mul(g.mul(dy, b.out()), g.log(safe));
  };
  return [
    b.wanted(0) ? unbroadcast(b, base(), x) : null,
    b.wanted(1) ? g.cast(unbroadcast(b, logarithm(), given), given.dtype) : null,
  ];
};

/** The gradient goes to the operand that was chosen; several that are equal share it (as PyTorch has it). */
const extremum: Rule = (b) => {
  const { g } = b;
  const y = b.out();
  const chosen = b.node.inputs.map((_, i) => asNumber(b, g.equal(b.in(i), y), y));
  if (chosen.length === 1) return [b.wanted(0) ? b.dy : null];
  const share = g.div(b.dy, g.op('Sum', chosen)[0]!);
  return chosen.map((mask, i) => (b.wanted(i) ? unbroadcast(b, g.mul(share, mask), b.in(i)) : null));
};

const where: Rule = (b) => {
  const test = b.in(0);
  const branch = (i: number, taken: () => Value): Value | null =>
    b.wanted(i) ? unbroadcast(b, masked(b, b.dy, taken()), b.in(i)) : null;
  return [null, branch(1, () => test), branch(2, () => b.g.not(test))];
};

/** Arithmetic of two operands and more. */
export const binary: RuleTable = {
  Add: pair(
    (b) => b.dy,
    (b) => b.dy,
  ),
  Sub: pair(
    (b) => b.dy,
    (b) => b.g.neg(b.dy),
  ),
  Mul: pair(
    (b) => b.g.mul(b.dy, b.in(1)),
    (b) => b.g.mul(b.dy, b.in(0)),
  ),
  // d(a ÷ b) = da ÷ b − db · a ÷ b², and a ÷ b is the result.
  Div: pair(
    (b) => b.g.div(b.dy, b.in(1)),
    (b) => b.g.neg(b.g.div(b.g.mul(b.dy, b.out()), b.in(1))),
  ),
  // a − b·n, where n is the whole number (a − y) ÷ b.
  Mod: pair(
    (b) => b.dy,
    (b) => b.g.mul(b.dy, b.g.div(b.g.sub(b.out(), b.in(0)), b.in(1))),
  ),
  Pow: power,
  Min: extremum,
  Max: extremum,
  Sum: many((b) => () => b.dy),
  Mean: many((b) => {
    const share = b.g.div(b.dy, b.node.inputs.length);
    return () => share;
  }),
  Where: where,
};
