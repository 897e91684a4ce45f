import { VersusError } from '../core/errors.ts';

/** A whole number ≥ `min` from an option's text. */
export function wholeNumber(option: string, text: string, min = 1): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || !/^\d+$/.test(text)) {
    throw new VersusError('usage', `${option}: expected a whole number of at least ${min}, got '${text}'`);
  }
  return value;
}

/** A number of at least 0 from an option's text, `above` and `below` what is given. @throws VersusError `usage` */
export function realNumber(
  option: string,
  text: string,
  { above, below = Number.POSITIVE_INFINITY }: { readonly above?: number; readonly below?: number } = {},
): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value < below && (above === undefined ? value >= 0 : value > above)) return value;
  const low = above === undefined ? 'of at least 0' : `above ${above}`;
  const high = below === Number.POSITIVE_INFINITY ? '' : ` and below ${below}`;
  throw new VersusError('usage', `${option}: expected a number ${low}${high}, got '${text}'`);
}

/** Sizes of symbolic dimensions from `NAME=N` texts. @throws VersusError `usage` */
export function dimensionSizes(texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    texts.map((text) => {
      const [key, value, ...rest] = text.split('=');
      if (!key || value === undefined || rest.length > 0) {
        throw new VersusError('usage', `--dim: expected NAME=N, got '${text}'`, {
          next: 'for example --dim sequence=128',
        });
      }
      return [key, wholeNumber(`--dim ${key}`, value, 0)];
    }),
  );
}
