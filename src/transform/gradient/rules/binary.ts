import type { Value } from '../../../graph/builder.ts';
import { type Backward, type Rule, type RuleTable, unbroadcast } from '../rule.ts';

/** A rule of two operands that broadcast: each gradient is made where it is wanted, and summed over stretched axes. */
const pair =
  (a: (b: Backward) => Value, second: (b: Backward) => Value): Rule =>
  (b) =>
    [a, second].map((make, i) => (b.wanted(i) ? unbroadcast(b, make(b), b.in(i)) : null));

/** Arithmetic of two operands. */
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
};
