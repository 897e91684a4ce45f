import {
  type Call,
  fail,
  input,
  type Kernel,
  type KernelTable,
  numbers,
  refuse,
  room,
  scratch,
  store,
  textAttr,
} from './kernel.ts';
import { stridesOf, walk } from './strided.ts';

/** Einstein summation: letters of the output stay, the others are summed. `...` is not supported. */
const einsum: Kernel = (c) => {
  const equation = textAttr(c, 'equation', '').replaceAll(' ', '');
  const [left, right] = equation.split('->') as [string, string?];
  const terms = left.split(',');
  if (!/^[A-Za-z,]*(->[A-Za-z]*)?$/.test(equation) || terms.length !== c.inputs.length) {
    refuse(c, `equation '${equation}' over ${c.inputs.length} operands`);
  }
  const sizes = new Map<string, number>();
  const operands = terms.map((term, i) => {
    const t = input(c, i);
    if (term.length !== t.shape.length) fail(c, `'${term}' does not fit rank ${t.shape.length}`);
    [...term].forEach((letter, axis) => {
      const size = t.shape[axis]!;
      if ((sizes.get(letter) ?? size) !== size) fail(c, `'${letter}' is ${sizes.get(letter)} and ${size}`);
      sizes.set(letter, size);
    });
    return { term, values: numbers(t), strides: stridesOf(t.shape) };
  });
  // Without an arrow the output has the letters that occur once, in alphabetical order.
  const kept =
    right ??
    [...sizes.keys()]
      .filter((l) => left.split(l).length === 2)
      .sort()
      .join('');
  const letters = [...kept, ...[...sizes.keys()].filter((l) => !kept.includes(l))];
  const shape = [...kept].map((l) => sizes.get(l) ?? fail(c, `'${l}' occurs in no operand`));
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
      letters.map((l) =>
        [...term].reduce((sum, letter, axis) => sum + (letter === l ? strides[axis]! : 0), 0),
      ),
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
