import { parseEquation } from '../../../graph/equation.ts';
import type { Rule, RuleTable } from '../rule.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/**
 * The sum of products by labels: each operand's gradient is such a sum of dy with the other operands, by the same labels.
 * Labels that only it has were summed by themselves, so the gradient is the same along them.
 */
const einsum: Rule = (b) => {
  const { g } = b;
  const operands = b.node.inputs.map((_, i) => b.in(i));
  const equation = parseEquation(
    b.text('equation', ''),
    operands.map((x) => x.shape.length),
  );
  if ('problem' in equation) return b.fail(equation.problem);
  const { terms, result } = equation;
  const sizes = new Map<string, number>();
  terms.forEach((term, i) => {
    term.forEach((label, at) => {
      sizes.set(label, Math.max(sizes.get(label) ?? 1, b.sizes(operands[i]!)[at]!));
    });
  });
  const letters = new Map([...sizes.keys()].map((label, i) => [label, LETTERS[i]!]));
  const spelt = (labels: readonly string[]): string => labels.map((label) => letters.get(label)!).join('');
  return terms.map((term, i) => {
    if (!b.wanted(i)) return null;
    if (new Set(term).size < term.length) return b.fail(`operand ${i} has a label twice`);
    const shape = b.sizes(operands[i]!);
    const others = terms.flatMap((_other, k) => (k === i ? [] : [k]));
    const elsewhere = new Set([...result, ...others.flatMap((k) => terms[k]!)]);
    // Axes of one element were stretched along that label: there is nothing to spread, the sum is over it.
    const made = term.filter((label, at) => elsewhere.has(label) && shape[at] === sizes.get(label));
    const inputs = [spelt(result), ...others.map((k) => spelt(terms[k]!))];
    const [sum] = g.op('Einsum', [b.dy, ...others.map((k) => operands[k]!)], {
      equation: `${inputs.join(',')}->${spelt(made)}`,
    });
    const placed = g.reshape(
      sum!,
      term.map((label, at) => (made.includes(label) ? shape[at]! : 1)),
    );
    return placed.shape.join() === shape.join() ? placed : g.expand(placed, g.ints(shape));
  });
};

/** Einstein summation. */
export const summations: RuleTable = { Einsum: einsum };
