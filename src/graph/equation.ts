/** Why an Einsum equation doesn't fit its operands. */
export interface EquationProblem {
  readonly problem: string;
}

/** An Einsum equation over operands of known ranks, with every `...` spelt out. */
export interface Equation {
  /** Labels of each operand, one per dimension. */
  readonly terms: readonly (readonly string[])[];
  /** Labels of the result. */
  readonly result: readonly string[];
}

/**
 * Reads an Einsum equation (ONNX, Einsum; the rule of NumPy). `...` stands for the dimensions that the letters leave over,
 * aligned at the right among the operands; their labels are `.0`, `.1`, … counted from the right. Without an arrow the
 * result has those dimensions first and then the letters that occur once, in alphabetical order.
 *
 * @param ranks number of dimensions of each operand
 */
export function parseEquation(text: string, ranks: readonly number[]): Equation | EquationProblem {
  const equation = text.replace(/\s/g, '');
  const parts = equation.split('->');
  const terms = parts[0]!.split(',');
  if (parts.length > 2 || !/^[A-Za-z.,]*$/.test(parts.join('')))
    return { problem: `'${text}' is no equation` };
  if (terms.length !== ranks.length)
    return { problem: `equation ${text} names ${terms.length} operands of ${ranks.length}` };
  let widest = 0;
  const spelt: string[][] = [];
  for (const [i, term] of terms.entries()) {
    const labels = term.split('...');
    const letters = labels.join('');
    const open = ranks[i]! - letters.length;
    if (labels.length > 2 || letters.includes('.')) return { problem: `'${term}' is no list of labels` };
    if (open < 0 || (open > 0 && labels.length === 1))
      return { problem: `operand ${i} of ${text} has ${letters.length} labels for rank ${ranks[i]}` };
    widest = Math.max(widest, open);
    const between = Array.from({ length: open }, (_, at) => `.${open - 1 - at}`);
    spelt.push(labels.length === 1 ? [...letters] : [...labels[0]!, ...between, ...labels[1]!]);
  }
  const all = Array.from({ length: widest }, (_, at) => `.${widest - 1 - at}`);
  const counts = new Map<string, number>();
  for (const letter of terms.join('').replaceAll('.', '')) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  if (parts[1] === undefined) {
    const once = [...counts].filter(([, n]) => n === 1).map(([letter]) => letter);
    return { terms: spelt, result: [...all, ...once.sort()] };
  }
  const out = parts[1].split('...');
  const letters = [...out.join('')];
  const strange = letters.find((letter) => !counts.has(letter));
  if (out.length > 2 || strange !== undefined)
    return {
      problem: strange
        ? `label ${strange} of the result is in no operand`
        : `'${parts[1]}' is no list of labels`,
    };
  if (new Set(letters).size < letters.length)
    return { problem: `the result ${parts[1]} names a label twice` };
  return { terms: spelt, result: out.length === 1 ? letters : [...out[0]!, ...all, ...out[1]!] };
}
