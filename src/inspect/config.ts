import { flow } from './text.ts';

const MOST_ELEMENTS = 16;
const DEEPEST = 4;

/**
 * Hyperparameters as lines: what is plain on one line, each group of them (`vision`, `text`) on lines of its own below its
 * name. Functions and what is not set are left out.
 */
export function configLines(config: unknown, width: number): string[] {
  return isGroup(config) ? group(config, '', width, 0) : [];
}

function group(config: object, name: string, width: number, depth: number): string[] {
  const entries = Object.entries(config).filter(
    ([, value]) => value !== undefined && typeof value !== 'function',
  );
  const plain = entries.filter(([, value]) => !isGroup(value)).map(([key, value]) => `${key} ${show(value)}`);
  const head = name === '' ? '' : `${name}: `;
  const indent = '  '.repeat(depth);
  const lines = flow(
    head === '' ? plain : [head + (plain[0] ?? ''), ...plain.slice(1)],
    width - indent.length - 2,
  ).map((line, i) => `${indent}${i === 0 || name === '' ? '' : '  '}${line}`);
  if (depth >= DEEPEST) return lines;
  return [
    ...lines,
    ...entries.flatMap(([key, value]) =>
      isGroup(value) ? group(value, key, width, depth + (name === '' ? 0 : 1)) : [],
    ),
  ];
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function show(value: unknown): string {
  if (typeof value === 'number' && value !== 0 && Math.abs(value) < 1e-3) return value.toExponential();
  if (!Array.isArray(value)) return typeof value === 'object' && value !== null ? '…' : String(value);
  const shown = value
    .slice(0, MOST_ELEMENTS)
    .map((v) => (Array.isArray(v) && v.length > 4 ? '[…]' : show(v)));
  return `[${shown.join(', ')}${value.length > MOST_ELEMENTS ? ', …' : ''}]`;
}
