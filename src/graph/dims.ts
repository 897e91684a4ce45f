import type { Dim, Shape } from '../core/graph.ts';
import { seedOf } from '../core/random.ts';

/**
 * Arithmetic over dimensions that may be symbolic.
 *
 * A symbolic dimension is read as a polynomial with whole coefficients over names (`past+sequence`, `2*batch`,
 * `floor((height-1)/2)+1`), so that equal expressions compare equal however they were written. Text that is not such an
 * expression counts as one opaque name.
 */
type Polynomial = ReadonlyMap<string, number>;

/** The only dimension of a value whose rank a file leaves open. */
export const UNKNOWN_RANK = '...';

/** Longer or wider expressions (from a foreign file) are opaque names: nothing grows without bound. */
const MAX_TEXT = 256;
const MAX_TERMS = 16;
const MAX_DEPTH = 16;
const MAX_CACHE = 10_000;

const cache = new Map<string, Polynomial>();

class Unreadable extends Error {}

function collect(terms: Iterable<readonly [string, number]>): Polynomial {
  const out = new Map<string, number>();
  for (const [monomial, factor] of terms) {
    const sum = (out.get(monomial) ?? 0) + factor;
    if (sum === 0) out.delete(monomial);
    else out.set(monomial, sum);
  }
  if (out.size > MAX_TERMS) throw new Unreadable('too many terms');
  return out;
}

const plus = (a: Polynomial, b: Polynomial): Polynomial => collect([...a, ...b]);

function times(a: Polynomial, b: Polynomial): Polynomial {
  const terms: [string, number][] = [];
  for (const [m, f] of a) {
    for (const [n, g] of b) {
      // '\u0000' cannot occur in a name, so it separates the factors of a monomial without ambiguity.
      const factors = [...m.split('\u0000'), ...n.split('\u0000')].filter((x) => x !== '').sort();
      terms.push([factors.join('\u0000'), f * g]);
    }
  }
  return collect(terms);
}

const number = (n: number): Polynomial => new Map(n === 0 ? [] : [['', n]]);
const atom = (name: string): Polynomial => new Map([[name, 1]]);

function quotient(a: Polynomial, divisor: number): Polynomial {
  if ([...a.values()].every((f) => f % divisor === 0)) {
    return new Map([...a].map(([m, f]) => [m, f / divisor]));
  }
  const dim = format(a);
  return typeof dim === 'number' ? number(Math.floor(dim / divisor)) : atom(`floor((${dim})/${divisor})`);
}

/** Recursive descent over `expression := term (± term)*`, `term := factor (* factor)*`. */
function read(text: string): Polynomial {
  const tokens = text.match(/[A-Za-z_?$#][\w.:?$#]*|\d+|\S/g) ?? [];
  let at = 0;
  const take = (token: string): void => {
    if (tokens[at++] !== token) throw new Unreadable(text);
  };
  const factor = (depth: number): Polynomial => {
    if (depth > MAX_DEPTH) throw new Unreadable(text);
    const token = tokens[at++];
    if (token === undefined) throw new Unreadable(text);
    if (token === '(') {
      const inner = expression(depth + 1);
      take(')');
      return inner;
    }
    if (token === 'floor' && tokens[at] === '(') {
      at++;
      const inner = factor(depth + 1);
      take('/');
      const divisor = Number(tokens[at++]);
      if (!Number.isSafeInteger(divisor) || divisor < 1) throw new Unreadable(text);
      take(')');
      return quotient(inner, divisor);
    }
    if (/^\d/.test(token)) {
      const value = Number(token);
      if (!Number.isSafeInteger(value)) throw new Unreadable(text);
      return number(value);
    }
    if (/^[A-Za-z_?$#]/.test(token)) return atom(token);
    throw new Unreadable(text);
  };
  const term = (depth: number): Polynomial => {
    let left = factor(depth);
    while (tokens[at] === '*') {
      at++;
      left = times(left, factor(depth));
    }
    return left;
  };
  const expression = (depth: number): Polynomial => {
    let left = tokens[at] === '-' ? number(0) : term(depth);
    while (tokens[at] === '+' || tokens[at] === '-') {
      const sign = tokens[at++] === '+' ? 1 : -1;
      left = plus(left, times(number(sign), term(depth)));
    }
    return left;
  };
  const result = expression(0);
  if (at !== tokens.length) throw new Unreadable(text);
  return result;
}

function polynomial(dim: Dim): Polynomial {
  if (typeof dim === 'number') return number(dim);
  const known = cache.get(dim);
  if (known) return known;
  let value: Polynomial;
  try {
    value = dim.length > MAX_TEXT ? atom(dim) : read(dim);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    value = atom(dim);
  }
  if (cache.size >= MAX_CACHE) cache.clear();
  cache.set(dim, value);
  return value;
}

function format(value: Polynomial): Dim {
  if (value.size === 0) return 0;
  const constant = value.get('');
  if (value.size === 1 && constant !== undefined) return constant;
  const terms = [...value].sort(
    ([m, f], [n, g]) =>
      Number(m === '') - Number(n === '') || Number(f < 0) - Number(g < 0) || (m < n ? -1 : 1),
  );
  let text = '';
  for (const [monomial, f] of terms) {
    const names = monomial.split('\u0000').join('*');
    const size = Math.abs(f);
    const body = names === '' ? `${size}` : size === 1 ? names : `${size}*${names}`;
    text += f < 0 ? `-${body}` : text === '' ? body : `+${body}`;
  }
  return text;
}

function combine(a: Dim, b: Dim, how: (a: Polynomial, b: Polynomial) => Polynomial, sign: string): Dim {
  let text: Dim;
  try {
    text = format(how(polynomial(a), polynomial(b)));
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    text = `(${a})${sign}(${b})`;
  }
  return typeof text === 'number' || text.length <= MAX_TEXT ? text : opaque(text);
}

/** A short name for an expression that grew too long to be one: equal for equal text, and a stranger to all others. */
function opaque(text: string): string {
  return `?${seedOf(text).toString(36)}_${seedOf(text, 1).toString(36)}`;
}

/** a + b. */
export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  return combine(a, b, plus, '+');
}

/** a − b. */
export function subDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return combine(a, b, (x, y) => plus(x, times(number(-1), y)), '-');
}

/** a × b. */
export function mulDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  return combine(a, b, times, '*');
}

/** ⌊a ÷ divisor⌋ for a divisor of at least 1. */
export function floorDivDim(a: Dim, divisor: number): Dim {
  if (typeof a === 'number') return Math.floor(a / divisor);
  return combine(a, divisor, (x) => quotient(x, divisor), '/');
}

/** a ÷ b when it comes out as a whole polynomial, else null: what the -1 of a Reshape stands for. */
export function exactQuotient(a: Dim, b: Dim): Dim | null {
  if (typeof a === 'number' && typeof b === 'number') return b !== 0 && a % b === 0 ? a / b : null;
  const divisor = polynomial(b);
  if (divisor.size === 0) return null;
  try {
    const result = divided(polynomial(a), divisor);
    return result && format(result);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return null;
  }
}

const factorsOf = (monomial: string): string[] => monomial.split('\u0000').filter((name) => name !== '');

/** The term of the highest degree, among equals the first by names: an order that products keep. */
function leading(value: Polynomial): [string, number] {
  const rank = (m: string): number => factorsOf(m).length;
  return [...value].reduce((best, term) => {
    const higher = rank(term[0]) - rank(best[0]);
    return higher > 0 || (higher === 0 && term[0] < best[0]) ? term : best;
  });
}

/** Long division; null where something is left over. */
function divided(a: Polynomial, b: Polynomial): Polynomial | null {
  const [lead, factor] = leading(b);
  const out: [string, number][] = [];
  for (let left = a; left.size > 0; ) {
    const [monomial, f] = leading(left);
    const rest = factorsOf(monomial);
    for (const name of factorsOf(lead)) {
      const at = rest.indexOf(name);
      if (at < 0) return null;
      rest.splice(at, 1);
    }
    if (f % factor !== 0 || out.length > MAX_TERMS) return null;
    const term = [rest.join('\u0000'), f / factor] as [string, number];
    out.push(term);
    left = plus(left, times(times(b, new Map([term])), number(-1)));
  }
  return collect(out);
}

/** Whether two dimensions are certainly equal. */
export function sameDim(a: Dim, b: Dim): boolean {
  return (
    a === b ||
    (typeof a === 'string' && typeof b === 'string' && format(polynomial(a)) === format(polynomial(b)))
  );
}

/** Product of a shape's dimensions. */
export function productOf(shape: Shape): Dim {
  return shape.reduce<Dim>((product, d) => mulDims(product, d), 1);
}

/** A dimension with names replaced by sizes; what is not named stays symbolic. An exact name wins over an expression. */
export function bindDim(dim: Dim, sizes: Readonly<Record<string, number>>): Dim {
  if (typeof dim === 'number') return dim;
  if (Object.hasOwn(sizes, dim)) return sizes[dim]!;
  let total: Dim = 0;
  for (const [monomial, factor] of polynomial(dim)) {
    let product: Dim = factor;
    for (const name of monomial.split('\u0000')) {
      if (name !== '') product = mulDims(product, bindAtom(name, sizes));
    }
    total = addDims(total, product);
  }
  return total;
}

/** The names in a dimension: `past` and `sequence` of `past+sequence`. */
export function namesIn(dim: Dim): string[] {
  if (typeof dim === 'number') return [];
  const names = [...polynomial(dim).keys()].flatMap((monomial) => monomial.split('\u0000'));
  return names.flatMap((name) => {
    const division = DIVISION.exec(name);
    return division ? namesIn(division[1]!) : name === '' ? [] : [name];
  });
}

const DIVISION = /^floor\(\((.+)\)\/(\d+)\)$/;

function bindAtom(name: string, sizes: Readonly<Record<string, number>>): Dim {
  if (Object.hasOwn(sizes, name)) return sizes[name]!;
  const division = DIVISION.exec(name);
  return division ? floorDivDim(bindDim(division[1]!, sizes), Number(division[2])) : name;
}

/** `[batch, 3, 224, 224]`, for messages. */
export function showShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}
