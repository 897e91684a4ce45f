import type { ErrorKind } from '../../src/core/errors.ts';
import { bytesPerElement, type Tensor, type Tensors, toNumbers } from '../../src/core/tensor.ts';

/** What became of one graph on one backend. */
export type Outcome =
  | { readonly is: 'values'; readonly tensors: Tensors }
  /** The backend said no. `internal` is an error that it did not foresee. */
  | { readonly is: 'error'; readonly kind: ErrorKind | 'internal'; readonly message: string }
  /** Its process died (a segmentation fault of a native runtime), or never answered. */
  | { readonly is: 'death'; readonly message: string };

/** How far apart two numbers may be. */
export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

/**
 * What differs between two sets of outputs, in words; null when nothing does. Element types and shapes must be the same,
 * whole numbers equal, floats within `absolute + relative · |expected|`; NaN equals NaN.
 */
export function difference(
  actual: Tensors,
  expected: Tensors,
  tolerance: (t: Tensor) => Tolerance,
): string | null {
  for (const [name, want] of Object.entries(expected)) {
    const got = actual[name];
    if (!got) return `${name} is missing`;
    if (got.dtype !== want.dtype) return `${name} is ${got.dtype}, not ${want.dtype}`;
    if (got.shape.join() !== want.shape.join())
      return `${name} has shape [${got.shape.join(', ')}], not [${want.shape.join(', ')}]`;
    if (got.data.length !== want.data.length)
      return `${name} has ${got.data.length} elements, not ${want.data.length}`;
    if (got.data.byteLength !== got.data.length * bytesPerElement(got.dtype))
      return `${name} has another array type than ${got.dtype}`;
    const apart = differentElement(got, want, tolerance(want));
    if (apart >= 0) return `${name}[${apart}] is ${element(got, apart)}, not ${element(want, apart)}`;
  }
  return null;
}

function element(t: Tensor, at: number): number | bigint {
  const raw = t.data[at]!;
  return typeof raw === 'bigint' ? raw : toNumbers(t)[at]!;
}

function differentElement(got: Tensor, want: Tensor, { relative, absolute }: Tolerance): number {
  if (!/float/.test(want.dtype)) return want.data.findIndex((v, i) => v !== got.data[i]);
  const [a, b] = [toNumbers(got), toNumbers(want)];
  return b.findIndex((v, i) => {
    const other = a[i]!;
    if (v === other || (Number.isNaN(v) && Number.isNaN(other))) return false;
    return !(Math.abs(v - other) <= absolute + relative * Math.abs(v));
  });
}
