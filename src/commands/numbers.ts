import { VersusError } from '../core/errors.ts';

/** A whole number ≥ `min` from an option's text. */
export function wholeNumber(option: string, text: string, min = 1): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || !/^\d+$/.test(text)) {
    throw new VersusError('usage', `${option}: expected a whole number of at least ${min}, got '${text}'`);
  }
  return value;
}
