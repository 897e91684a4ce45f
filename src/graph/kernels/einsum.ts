import { parseEquation } from '../equation.ts';
import {
  type Call,
  fail,
  input,
  type Kernel,
  type KernelTable,
  numbers,
  room,
  scratch,
  store,
  textAttr,
} from './kernel.ts';
import { stridesOf, walk } from './strided.ts';

/** Einstein summation: labels of the result stay, the others are summed. */
const einsum: Kernel = (c) => {
  const inputs = c.inputs.map((_, i) => input(c, i));
  const equation = parseEquation(
    textAttr(c, 'equation', ''),
    inputs.map((t) => t.shape.length),
  );
  if ('problem' in equation) return fail(c, equation.problem);
  const { terms, result: kept } = equation;
  const sizes = new Map<string, number>();
  const operands = terms.map((term, i) => {
    const t = inputs[i]!;
    term.forEach((label, axis) => {
      const size = t.shape[axis]!;
      const known = sizes.get(label) ?? 1;
      if (known !== 1 && size !== 1 && known !== size) fail(c, `'${label}' is ${known} and ${size}`);
      sizes.set(label, known === 1 ? size : known);
    });
    // A dimension of 1 is stretched, as everywhere.
    const strides = stridesOf(t.shape).map((stride, axis) => (t.shape[axis] === 1 ? 0 : stride));
    return { term, values: numbers(t), strides };
  });
  const letters = [...kept, ...[...sizes.keys()].filter((l) => !kept.includes(l))];
  const shape = kept.map((l) => sizes.get(l)!);
  const space = letters.map((l) => sizes.get(l)!);
  const out = scratch(c, shape);
  const own = stridesOf(shape);
  const to = positions(
    c,
    space,
    letters.map((_, i) => own[i] ?? 0),
  );
  const from = operands.map(({ term, strides }) =>
    positions(
      c,
      space,
      letters.map((l) => term.reduce((sum, label, axis) => sum + (label === l ? strides[axis]! : 0), 0)),
    ),
  );
  for (let i = 0; i < to.length; i++) {
    let product = 1;
    operands.forEach(({ values }, k) => {
      product *= values[from[k]![i]!]!;
    });
    out[to[i]!]! += product;
  }
  return [store(input(c, 0).dtype, shape, out)];
};

function positions(c: Call, shape: readonly number[], strides: readonly number[]): Int32Array {
  const out = room(c, 'int32', shape) as Int32Array;
  walk(shape, strides, 0, (offset, position) => {
    out[position] = offset;
  });
  return out;
}

export const summation: KernelTable = { Einsum: einsum };
