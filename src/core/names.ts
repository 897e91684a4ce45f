import { distance } from 'fastest-levenshtein';
import { VersusError } from './errors.ts';

/** Up to three known names that look most like the one that was typed. */
export function nearest(name: string, known: readonly string[]): string[] {
  return known
    .map((candidate) => ({ candidate, d: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, d }) => d <= Math.max(3, candidate.length / 2) || candidate.includes(name))
    .sort((a, b) => a.d - b.d || a.candidate.localeCompare(b.candidate))
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** @throws VersusError `usage`: what is unknown and the nearest names. */
export function unknownName(kind: string, name: string, known: readonly string[]): VersusError {
  const near = nearest(name, known);
  return new VersusError('usage', `unknown ${kind} '${name}'`, {
    next: near.length
      ? `did you mean ${near.map((n) => `'${n}'`).join(' or ')}? 'versus list' shows all`
      : `known: ${known.slice(0, 12).join(', ')}${known.length > 12 ? ' …' : ''}`,
  });
}

/** Checks every name against those known. */
export function requireNames(kind: string, names: readonly string[], known: readonly string[]): void {
  for (const name of names) if (!known.includes(name)) throw unknownName(kind, name, known);
}
