/** Numbers and names as people read them: three significant digits, a unit always, `n/a` for what is not known. */

const MULTIPLES = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;
const BINARY = [
  [2 ** 40, 'TiB'],
  [2 ** 30, 'GiB'],
  [2 ** 20, 'MiB'],
  [2 ** 10, 'KiB'],
] as const;

/** Units that only say that something is counted; the metric's name says what. */
const COUNTS = new Set([
  '',
  '1',
  'count',
  'counts',
  'n',
  'parameters',
  'params',
  'nodes',
  'MACs',
  'macs',
  'MAC',
]);
/** Units of a fraction between 0 and 1. */
const FRACTIONS = new Set(['share', 'fraction', 'ratio']);

export const isBytes = (unit: string): boolean => unit === 'B' || unit === 'bytes' || unit === 'byte';
export const isCount = (unit: string): boolean => COUNTS.has(unit);
export const isFraction = (unit: string): boolean => FRACTIONS.has(unit);

/** Three significant digits without an exponent up to 10 million: 0.0123, 4.57, 75.4, 1,235. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return 'n/a';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return value.toPrecision(3).replace('e+', 'e');
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(3);
}

/** A value with its unit: `75.4 ms`, `1.21 GiB`, `25.6 M`, `82.1%`. */
export function quantity(value: number | null, unit: string): string {
  if (value === null || !Number.isFinite(value)) return 'n/a';
  const size = Math.abs(value);
  if (isBytes(unit)) {
    for (const [factor, name] of BINARY) if (size >= factor) return `${number(value / factor)} ${name}`;
    return `${number(value)} B`;
  }
  if (isFraction(unit)) return `${number(value * 100)}%`;
  if (isCount(unit)) {
    for (const [factor, name] of MULTIPLES) if (size >= factor) return `${number(value / factor)} ${name}`;
    return number(value);
  }
  if (unit === '%') return `${number(value)}%`;
  if (unit === 'ms' && size >= 10_000) return `${number(value / 1000)} s`;
  return `${number(value)} ${unit}`;
}

/** `73.9 to 76.8 ms`, or null where there is no interval. */
export function interval(lo: number | null, hi: number | null, unit: string): string | null {
  if (lo === null || hi === null || !Number.isFinite(lo) || !Number.isFinite(hi)) return null;
  const low = quantity(lo, unit);
  const high = quantity(hi, unit);
  const tail = / (\S+)$/.exec(high)?.[0];
  return tail !== undefined && low.endsWith(tail)
    ? `${low.slice(0, -tail.length)} to ${high}`
    : `${low} to ${high}`;
}

/** A ratio with enough digits to tell it from 1: `1.83×`, `1.004×`, `31×`. */
export function factor(value: number): string {
  if (!Number.isFinite(value)) return 'n/a';
  if (value >= 10) return `${number(value)}×`;
  return `${Math.abs(value - 1) < 0.1 ? value.toFixed(3) : value.toFixed(2)}×`;
}

/** `p = 0.03`, `p < 0.001`. */
export function pValue(p: number): string {
  return p < 0.001 ? 'p < 0.001' : `p = ${p < 0.1 ? p.toPrecision(2) : p.toFixed(2)}`;
}

/** An exponent with two decimals: `1.24`, `−0.30`. */
export const exponentText = (exponent: number): string => exponent.toFixed(2).replace('-', '−');

const SPELLING: Readonly<Record<string, string>> = {
  cpu: 'CPU',
  gflops: 'GFLOP/s',
  gpu: 'GPU',
  macs: 'MACs',
  rss: 'RSS',
  top1: 'top-1',
  top5: 'top-5',
  tpot: 'TPOT',
  ttft: 'TTFT',
};

/** `peak_rss` → `peak RSS`, `ttft` → `TTFT`; `difference_rss`, of peak and empty worker, is what the model added. */
export const metricLabel = (metric: string): string =>
  printable(metric)
    .replace(/^difference_rss$/, 'added memory')
    .split(/[_ ]+/)
    .map((word) => SPELLING[word] ?? word)
    .join(' ');

/** With a capital first letter, for headings. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The metric and its unit for an axis or a column: `latency p50 [ms]`; a bare name where the unit says nothing more. */
export function metricWithUnit(metric: string, unit: string): string {
  const label = metricLabel(metric);
  return isCount(unit) || label.endsWith(unit)
    ? label
    : `${label} [${isFraction(unit) ? '%' : printable(unit)}]`;
}

export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`;

/** At most `max` characters, cut in the middle, where names of variants differ least. */
export function shorten(text: string, max: number): string {
  const clean = printable(text);
  if (clean.length <= max) return clean;
  const tail = Math.floor((max - 1) / 2);
  return `${clean.slice(0, max - 1 - tail)}…${clean.slice(clean.length - tail)}`;
}

/** A sentence on at most two lines of `width` characters, broken at a blank; what is left over is cut. */
export function twoLines(text: string, width: number): string[] {
  const clean = printable(text);
  if (clean.length <= width) return [clean];
  const blank = clean.lastIndexOf(' ', width);
  const end = blank > width / 2 ? blank : width;
  const rest = clean.slice(end).trimStart();
  return [clean.slice(0, end), rest.length <= width ? rest : `${rest.slice(0, width - 1).trimEnd()}…`];
}

/** One line without control characters or characters that turn the writing direction: safe to show anywhere. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
}

/** A file name made of a–z, 0–9 and `-`; never empty, never a device name of Windows. */
export function slug(...parts: readonly string[]): string {
  const text = parts
    .join('-')
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 80)
    .replace(/-+$/, '');
  if (text === '') return 'unnamed';
  return /^(con|prn|aux|nul|com\d|lpt\d)$/.test(text) ? `${text}-` : text;
}

/** Gives every name a file of its own: what was handed out before gets `-2`, `-3` … */
export function uniqueNames(): (name: string) => string {
  const taken = new Set<string>();
  return (name) => {
    let candidate = name;
    for (let i = 2; taken.has(candidate); i++) candidate = `${name}-${i}`;
    taken.add(candidate);
    return candidate;
  };
}
