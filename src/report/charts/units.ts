import { isBytes, isCount, isFraction } from '../format.ts';

/** What an axis divides its values by, and what it then calls the unit. */
export interface AxisUnit {
  readonly divisor: number;
  readonly name: string;
}

/** A unit in which the largest value has one to four digits: bytes in MiB or GiB, counts in thousands or millions. */
export function axisUnit(values: Iterable<number | null>, unit: string): AxisUnit {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value ?? 0));
  if (isFraction(unit)) return { divisor: 0.01, name: '%' };
  if (isBytes(unit)) {
    for (const [divisor, name] of [
      [2 ** 30, 'GiB'],
      [2 ** 20, 'MiB'],
      [2 ** 10, 'KiB'],
    ] as const) {
      if (largest >= divisor) return { divisor, name };
    }
    return { divisor: 1, name: 'B' };
  }
  if (isCount(unit)) {
    for (const [divisor, name] of [
      [1e9, 'billions'],
      [1e6, 'millions'],
      [1e3, 'thousands'],
    ] as const) {
      if (largest >= divisor) return { divisor, name };
    }
  }
  if (unit === 'ms' && largest >= 10_000) return { divisor: 1000, name: 's' };
  return { divisor: 1, name: unit };
}
