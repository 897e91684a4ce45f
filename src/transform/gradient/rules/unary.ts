import type { Value } from '../../../graph/builder.ts';
import { type Backward, type Rule, type RuleTable, unary } from '../rule.ts';

/** dx = dy · f, with f the derivative. */
const times = (derivative: (b: Backward) => Value): Rule => unary((b) => b.g.mul(b.dy, derivative(b)));

/** dx = dy ÷ f, with f one over the derivative. */
const over = (divisor: (b: Backward) => Value): Rule => unary((b) => b.g.div(b.dy, divisor(b)));

const negated =
  (rule: Rule): Rule =>
  (b) =>
    rule(b).map((gradient) => gradient && b.g.neg(gradient));

const op = (b: Backward, name: string): Value => b.g.op(name, [b.in(0)])[0]!;
const square = (b: Backward, x: Value): Value => b.g.mul(x, x);
/** √(x² + c) */
const root = (b: Backward, c: number): Value => b.g.sqrt(b.g.add(square(b, b.in(0)), c));

const asin = over((b) => b.g.sqrt(b.g.sub(1, square(b, b.in(0)))));

/** A step function is level wherever it has a derivative. */
const level: Rule = (b) => b.only();

/**
 * Functions of one operand, element by element. Where the result says the derivative, it is read instead of the operand.
 * Steps (Sign, Floor, Ceil, Round) and random numbers of a value's shape have no gradient.
 */
export const functions: RuleTable = {
  Identity: unary((b) => b.dy),
  Neg: unary((b) => b.g.neg(b.dy)),
  Abs: times((b) => op(b, 'Sign')),
  Exp: times((b) => b.out()),
  Log: over((b) => b.in(0)),
  Sqrt: over((b) => b.g.mul(b.out(), 2)),
  Reciprocal: unary((b) => b.g.neg(b.g.mul(b.dy, square(b, b.out())))),
  // 2 ÷ √π · e^(−x²)
  Erf: times((b) => b.g.mul(b.g.exp(b.g.neg(square(b, b.in(0)))), 2 / Math.sqrt(Math.PI))),

  Sin: times((b) => op(b, 'Cos')),
  Cos: negated(times((b) => op(b, 'Sin'))),
  Tan: times((b) => b.g.add(square(b, b.out()), 1)),
  Asin: asin,
  Acos: negated(asin),
  Atan: over((b) => b.g.add(square(b, b.in(0)), 1)),
  Sinh: times((b) => op(b, 'Cosh')),
  Cosh: times((b) => op(b, 'Sinh')),
  Asinh: over((b) => root(b, 1)),
  Acosh: over((b) => root(b, -1)),
  Atanh: over((b) => b.g.sub(1, square(b, b.in(0)))),

  // Of whole numbers there is no gradient, so these are conversions among floats.
  Cast: unary((b) => b.g.cast(b.dy, b.in(0).dtype)),
  CastLike: unary((b) => b.g.cast(b.dy, b.in(0).dtype)),

  Sign: level,
  Floor: level,
  Ceil: level,
  Round: level,
  EyeLike: level,
  RandomNormalLike: level,
  RandomUniformLike: level,
};
