import { oneLine } from '../core/errors.ts';

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Columns that a terminal gives to a text without control characters. */
export function columns(text: string): number {
  let n = 0;
  for (const c of text) n += /\p{M}/u.test(c) ? 0 : WIDE.test(c) ? 2 : 1;
  return n;
}

/** Text from outside on one line of at most `width` columns, cut in the middle, where long names differ least. */
export function shortened(text: string, width: number): string {
  const line = oneLine(text.length > 4000 ? `${text.slice(0, 2000)}…${text.slice(-2000)}` : text);
  if (line.length <= width / 2 || columns(line) <= width) return line;
  const characters = [...line];
  const room = Math.max(1, width - 1);
  const take = (from: readonly string[], most: number): string[] => {
    let used = 0;
    const end = from.findIndex((c) => {
      used += columns(c);
      return used > most;
    });
    return end < 0 ? [...from] : from.slice(0, end);
  };
  const head = take(characters, Math.ceil(room / 2));
  const tail = take([...characters].reverse(), Math.floor(room / 2)).reverse();
  return `${head.join('')}…${tail.join('')}`;
}

export function padRight(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - columns(text)));
}

/** Pieces joined by `separator`, as many on a line as fit; a piece that is longer than a line is cut. */
export function flow(pieces: readonly string[], width: number, separator = ', '): string[] {
  const lines: string[] = [];
  let line = '';
  pieces.forEach((piece, i) => {
    const text = shortened(piece, width - 1) + (i < pieces.length - 1 ? separator.trimEnd() : '');
    const longer =
      line === '' ? text : `${line}${' '.repeat(separator.length - separator.trimEnd().length)}${text}`;
    if (line === '' || columns(longer) <= width) line = longer;
    else {
      lines.push(line);
      line = text;
    }
  });
  return line === '' ? lines : [...lines, line];
}

export const count = (n: number): string => n.toLocaleString('en-US');

export const plural = (n: number, one: string): string => `${count(n)} ${one}${n === 1 ? '' : 's'}`;

/** A share of one as per cent, never 0 or 100 for what isn't. */
export function percent(share: number): string {
  if (!Number.isFinite(share) || share <= 0) return '0%';
  if (share >= 1) return '100%';
  if (share < 0.0001) return '<0.01%';
  const text = (100 * share).toFixed(share < 0.001 ? 2 : 1);
  return text === '100.0' ? '>99.9%' : `${text}%`;
}

/** Bytes in binary units. */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const at = Math.min(units.length - 1, n < 1 ? 0 : Math.floor(Math.log2(n) / 10));
  return at === 0 ? `${n} B` : `${(n / 1024 ** at).toFixed(n / 1024 ** at < 10 ? 2 : 1)} ${units[at]}`;
}
