import type * as Tf from '@tensorflow/tfjs-core';
import { textAttr } from '../../../graph/kernels/kernel.ts';
import { identity, isIdentity } from '../order.ts';
import { turned } from '../turn.ts';
import { type Call, fail, input, type KernelTable, kernel, made, plain } from './kernel.ts';
import { picked } from './parts.ts';

/** A tensor whose axes have letters. */
interface Term {
  readonly tensor: Tf.Tensor;
  readonly letters: string;
}

/** Letters that stand for the axes under an ellipsis; none of them can be in an equation. */
const HIDDEN = '0123456789';

interface Equation {
  readonly terms: readonly string[];
  readonly output: string;
}

/** Letters of each operand and of the output, the ellipsis written out: its axes are aligned at the right. */
function parsed(c: Call): Equation {
  const text = textAttr(c, 'equation', '').replaceAll(/\s/g, '');
  const [left, right] = text.split('->') as [string, string?];
  const given = left.split(',');
  if (!/^[A-Za-z.,]*(->[A-Za-z.]*)?$/.test(text) || given.length !== c.inputs.length) {
    fail(c, `equation '${text}' does not fit ${c.inputs.length} operands`);
  }
  let widest = 0;
  const ranks = given.map((term, i) => {
    const named = term.replace('...', '').length;
    const hidden = input(c, i).shape.length - named;
    if (hidden < 0 || (hidden > 0 && !term.includes('...'))) {
      fail(c, `'${term}' does not fit rank ${input(c, i).shape.length}`);
    }
    widest = Math.max(widest, hidden);
    return hidden;
  });
  if (widest > HIDDEN.length) fail(c, 'an ellipsis stands for too many axes');
  const all = HIDDEN.slice(0, widest);
  const terms = given.map((term, i) => term.replace('...', all.slice(widest - ranks[i]!)));
  if (right !== undefined) return { terms, output: right.replace('...', all) };
  // Without an arrow: the ellipsis, then the letters that occur once, in alphabetical order.
  const once = [...new Set(left)].filter((l) => /[A-Za-z]/.test(l) && left.split(l).length === 2);
  return { terms, output: all + once.sort().join('') };
}

/** A letter that a term has twice means the diagonal. */
function diagonal(c: Call, { tensor, letters }: Term): Term {
  const twice = [...letters].find((l, i) => letters.indexOf(l) !== i);
  if (!twice) return { tensor, letters };
  const [i, j] = [letters.indexOf(twice), letters.lastIndexOf(twice)];
  const size = tensor.shape[i]!;
  if (tensor.shape[j] !== size) fail(c, `'${twice}' is ${size} and ${tensor.shape[j]}`);
  const others = identity(tensor.rank).filter((axis) => axis !== i && axis !== j);
  const square = turned(c.tf, tensor, [i, j, ...others]);
  const rest = others.map((axis) => tensor.shape[axis]!);
  const flat = c.tf.reshape(square, [size * size, ...rest]);
  const found = picked(
    c,
    flat,
    Array.from({ length: size }, (_, k) => k * (size + 1)),
    0,
  );
  return diagonal(c, { tensor: found, letters: twice + others.map((axis) => letters[axis]).join('') });
}

/** Sums over the letters that nobody else needs. */
function summed(c: Call, { tensor, letters }: Term, needed: string): Term {
  const gone = [...letters].flatMap((l, i) => (needed.includes(l) ? [] : [i]));
  if (gone.length === 0) return { tensor, letters };
  return { tensor: c.tf.sum(tensor, gone), letters: [...letters].filter((l) => needed.includes(l)).join('') };
}

/** A term's axes in the order of groups of letters, each group one axis; letters that it lacks have size 1. */
function grouped(c: Call, { tensor, letters }: Term, groups: readonly string[]): Tf.Tensor {
  const perm = [...groups.join('')].map((l) => letters.indexOf(l)).filter((axis) => axis >= 0);
  const moved = isIdentity(perm) ? tensor : turned(c.tf, tensor, perm);
  const size = (l: string): number => tensor.shape[letters.indexOf(l)] ?? 1;
  return c.tf.reshape(
    moved,
    groups.map((group) => [...group].reduce((n, l) => n * size(l), 1)),
  );
}

/** Two terms multiplied, as one batched product of matrices. */
function product(c: Call, a: Term, b: Term, needed: string): Term {
  const { tf } = c;
  const sizeIn = (t: Term, l: string): number => t.tensor.shape[t.letters.indexOf(l)] ?? 1;
  const size = (l: string): number => Math.max(sizeIn(a, l), sizeIn(b, l));
  for (const l of a.letters) {
    const [m, n] = [sizeIn(a, l), sizeIn(b, l)];
    if (m !== n && m !== 1 && n !== 1) fail(c, `'${l}' is ${m} and ${n}`);
  }
  // An axis that one term stretches (an ellipsis) is like one that it lacks.
  const real = ({ tensor, letters }: Term, other: Term): Term => {
    const kept = [...letters].filter((l, i) => tensor.shape[i] !== 1 || sizeIn(other, l) === 1);
    return {
      tensor: tf.reshape(
        tensor,
        kept.map((l) => tensor.shape[letters.indexOf(l)]!),
      ),
      letters: kept.join(''),
    };
  };
  const [left, right] = [real(a, b), real(b, a)];
  const both = [...left.letters].filter((l) => right.letters.includes(l));
  const batch = both.filter((l) => needed.includes(l)).join('');
  const inner = both.filter((l) => !needed.includes(l)).join('');
  const only = (t: Term): string => [...t.letters].filter((l) => !both.includes(l)).join('');
  const [rows, columns] = [only(left), only(right)];
  const result = tf.matMul(
    grouped(c, left, [batch, rows, inner]),
    grouped(c, right, [batch, inner, columns]),
  );
  const letters = batch + rows + columns;
  return { tensor: tf.reshape(result, [...letters].map(size)), letters };
}

/** Einstein summation: letters of the output stay, the others are summed. The result keeps the order that it was made in. */
export const summations: KernelTable = {
  Einsum: kernel((c) => {
    const { terms, output } = parsed(c);
    const operands = terms.map((letters, i) => diagonal(c, { tensor: plain(c, input(c, i)), letters }));
    const after = (i: number): string =>
      output +
      operands
        .slice(i)
        .map((t) => t.letters)
        .join('');
    let result = summed(c, operands[0]!, after(1));
    for (let i = 1; i < operands.length; i++) {
      const next = summed(c, operands[i]!, result.letters + after(i + 1));
      result = product(c, result, next, after(i + 1));
      // What an ellipsis stretched may be left.
      result = summed(c, result, after(i + 1));
    }
    const { tensor, letters } = result;
    if ([...output].some((l) => !letters.includes(l))) fail(c, `'${output}' has letters of no operand`);
    const order = [...letters].map((l) => output.indexOf(l));
    return [made(tensor === operands[0]!.tensor ? c.tf.clone(tensor) : tensor, input(c, 0).dtype, order)];
  }),
};
