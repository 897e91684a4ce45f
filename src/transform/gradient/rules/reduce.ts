import type { Rule, RuleTable } from '../rule.ts';

/** A sum hands its gradient to every element that went in. */
const sum: Rule = (b) => {
  const { g } = b;
  const x = b.in(0);
  const sizes = b.sizes(x);
  const axes = b.numbers(1) ?? b.ints('axes') ?? [];
  const all = axes.length === 0;
  if (all && b.int('noop_with_empty_axes', 0) === 1) return [b.dy, null].slice(0, b.node.inputs.length);
  const gone = new Set(all ? sizes.keys() : axes.map((a) => b.axis(a, sizes.length)));
  const kept = sizes.map((d, i) => (gone.has(i) ? 1 : d));
  return [g.expand(g.reshape(b.dy, kept), g.ints(sizes)), null].slice(0, b.node.inputs.length);
};

/** Reductions over axes. */
export const reductions: RuleTable = { ReduceSum: sum };
