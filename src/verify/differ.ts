import type { Tensor, Tensors } from '../core/tensor.ts';
import { toNumbers } from '../core/tensor.ts';
import { compareOutputs, type OutputDifference } from '../stats/parity.ts';

/**
 * How an intermediate value compares with the reference's. Unlike an output it may hold infinities and NaN (masks do): where
 * both sides have the same one, they agree.
 */
export function differenceOf(
  name: string,
  actual: Tensors,
  expected: Tensors,
  tolerance: number,
): OutputDifference {
  const [a, b] = [actual[name], expected[name]!];
  const [x, y] = a && /float/.test(b.dtype) ? withoutCommon(a, b) : [a, b];
  return compareOutputs(x ? { [name]: x } : {}, { [name]: y }, tolerance)[0]!;
}

/** The same NaN or infinity at the same place on both sides becomes 0 on both. */
function withoutCommon(a: Tensor, b: Tensor): [Tensor, Tensor] {
  if (a.data.length !== b.data.length) return [a, b];
  const [x, y] = [toNumbers(a), toNumbers(b)];
  let found = false;
  for (let i = 0; i < y.length; i++) {
    if (Number.isFinite(y[i]!) || !Object.is(x[i], y[i])) continue;
    found = true;
    x[i] = 0;
    y[i] = 0;
  }
  return found
    ? [
        { ...a, dtype: 'float64', data: x },
        { ...b, dtype: 'float64', data: y },
      ]
    : [a, b];
}

/** Whether a tensor holds NaN, or else infinity. */
export function oddity(t: Tensor): 'nan' | 'infinite' | null {
  if (!/float/.test(t.dtype)) return null;
  const values = toNumbers(t);
  if (values.includes(Number.NaN)) return 'nan';
  return values.some((v) => !Number.isFinite(v)) ? 'infinite' : null;
}
