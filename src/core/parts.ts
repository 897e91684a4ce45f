import { PARTS, type Part, type Parts } from './model.ts';

interface Pattern {
  readonly part: Part;
  readonly segments: readonly string[];
  /** Segments that are not `*`. */
  readonly literal: number;
}

/**
 * The part that a parameter belongs to, by its name; undefined where no start of `parts` fits. A start fits when each of its
 * segments equals the name's segment in that place, or is `*`. The one of most segments decides; among equally long ones
 * that with fewer `*`, then the order of `PARTS`.
 */
export function partOf(parts: Parts | undefined): (name: string) => Part | undefined {
  const patterns: Pattern[] = PARTS.flatMap((part) =>
    (parts?.[part] ?? []).map((start) => {
      const segments = start === '' ? [] : start.split('.');
      return { part, segments, literal: segments.filter((s) => s !== '*').length };
    }),
  );
  // The sort is stable, so equals stay in the order of PARTS.
  patterns.sort((a, b) => b.segments.length - a.segments.length || b.literal - a.literal);
  const longest = patterns[0]?.segments.length ?? 0;
  return (name) => {
    const segments = name.split('.', longest);
    return patterns.find((p) =>
      p.segments.every((s, i) => i < segments.length && (s === '*' || s === segments[i])),
    )?.part;
  };
}
