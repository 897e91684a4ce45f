import type { Dim, Shape } from '../../core/graph.ts';
import { sameDim, showShape } from '../dims.ts';
import type { OpContext } from './entry.ts';

/**
 * Multidirectional broadcasting (ONNX, Broadcasting.md; the rule of NumPy): shapes are aligned at the right, 1 stretches.
 * A symbol against a number other than 1 can only be right when the symbol turns out to be 1 or that number: an error
 * while building, the number in a foreign file.
 */
export function broadcast(c: OpContext, shapes: readonly Shape[]): Dim[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, at) => {
    let out: Dim = 1;
    for (const shape of shapes) {
      const d = shape[at - rank + shape.length];
      if (d === undefined || d === 1 || sameDim(d, out)) continue;
      if (out === 1) {
        out = d;
        continue;
      }
      if (c.strict || (typeof d === 'number' && typeof out === 'number')) {
        c.fail(`shapes ${shapes.map(showShape).join(' and ')} don't broadcast`);
      }
      if (typeof d === 'number') out = d;
    }
    return out;
  });
}

/** Row-major elements of a small tensor stretched to `shape`, or undefined when a size is not known. */
export function stretch(value: readonly Dim[], from: Shape, to: Shape): readonly Dim[] | undefined {
  if (value.length === 1) {
    let n = 1;
    for (const d of to) {
      if (typeof d !== 'number') return undefined;
      n *= d;
    }
    return n <= 4096 ? Array.from({ length: n }, () => value[0]!) : undefined;
  }
  const same = from.length === to.length && from.every((d, i) => d === to[i]);
  return same ? value : undefined;
}
