import type { Dim, Shape } from '../../core/graph.ts';
import { showShape } from '../dims.ts';
import { parseEquation } from '../equation.ts';
import { broadcast } from './broadcast.ts';
import { type CostContext, type OpContext, type OpTable, typed } from './entry.ts';

const product = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

function matmulShape(c: OpContext): Dim[] {
  const [a, b] = [c.shape(0), c.shape(1)];
  if (a.length === 0 || b.length === 0) c.fail('a scalar has no matrix product');
  const left = a.length === 1 ? [1, a[0]!] : a;
  const right = b.length === 1 ? [b[0]!, 1] : b;
  c.same(left.at(-1)!, right.at(-2)!, `inner dimensions of ${showShape(a)} × ${showShape(b)} differ`);
  const out = broadcast(c, [left.slice(0, -2), right.slice(0, -2)]);
  if (a.length > 1) out.push(left.at(-2)!);
  if (b.length > 1) out.push(right.at(-1)!);
  return out;
}

/** Every output element is a dot product over the last dimension of the left operand. */
const dotProducts = (c: CostContext): number => product(c.output(0)) * (c.input(0).at(-1) ?? 1);

/** Matrix products. */
export const matmul: OpTable = {
  MatMul: {
    inputs: [2, 2],
    since: 1,
    infer: (c) => [typed(c.sameTypes(0, 1), matmulShape(c))],
    macs: dotProducts,
  },
  MatMulInteger: {
    inputs: [2, 4],
    since: 10,
    infer: (c) => [typed('int32', matmulShape(c))],
    macs: dotProducts,
  },
  Gemm: {
    inputs: [2, 3],
    since: 7,
    floats: ['alpha', 'beta'],
    infer: (c) => {
      const [a, b] = [c.rank(0, 2), c.rank(1, 2)];
      const [m, k] = c.int('transA', 0) ? [a[1]!, a[0]!] : [a[0]!, a[1]!];
      const [l, n] = c.int('transB', 0) ? [b[1]!, b[0]!] : [b[0]!, b[1]!];
      c.same(k, l, `inner dimensions of ${showShape(a)} × ${showShape(b)} differ`);
      const out = [m, n];
      if (c.has(2)) {
        const full = broadcast(c, [out, c.shape(2)]);
        if (full.length !== 2)
          c.fail(`the bias ${showShape(c.shape(2))} doesn't broadcast to ${showShape(out)}`);
        c.same(full[0]!, m, 'the bias has more rows than the product');
        c.same(full[1]!, n, 'the bias has more columns than the product');
      }
      return [typed(c.sameTypes(0, 1, 2), out)];
    },
    macs: (c) => product(c.output(0)) * c.input(0)[c.node.attrs.transA ? 0 : 1]!,
  },
  Einsum: {
    inputs: [1, Number.POSITIVE_INFINITY],
    since: 12,
    infer: (c) => {
      const all = Array.from({ length: c.count }, (_, i) => i);
      return [
        typed(
          c.sameTypes(...all),
          einsumShape(
            c,
            all.map((i) => c.shape(i)),
          ),
        ),
      ];
    },
    // One multiply–accumulate for every combination of labels (two operands; more are counted as one nest of loops).
    macs: (c) => {
      const labels = new Map<string, number>();
      const ranks = c.node.inputs.map((_, i) => c.input(i).length);
      const equation = parseEquation(String(c.node.attrs.equation), ranks);
      if ('problem' in equation) return 0;
      equation.terms.forEach((term, i) => {
        term.forEach((label, at) => {
          labels.set(label, Math.max(labels.get(label) ?? 1, c.input(i)[at] ?? 1));
        });
      });
      return product([...labels.values()]);
    },
  },
};

function einsumShape(c: OpContext, shapes: readonly Shape[]): Dim[] {
  const equation = parseEquation(
    c.text('equation', ''),
    shapes.map((s) => s.length),
  );
  if ('problem' in equation) return c.fail(equation.problem);
  const sizes = new Map<string, Dim>();
  equation.terms.forEach((term, i) => {
    term.forEach((label, at) => {
      const d = shapes[i]![at]!;
      const known = sizes.get(label) ?? 1;
      sizes.set(label, known === 1 ? d : d === 1 ? known : c.same(known, d, `label ${label}`));
    });
  });
  return equation.result.map((label) => sizes.get(label)!);
}
