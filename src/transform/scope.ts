import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { Part, Parts } from '../core/model.ts';
import { nearest } from '../core/names.ts';
import { partOf } from '../core/parts.ts';
import { moduleNames } from '../graph/module-names.ts';

/** What of a model is trained while the rest is frozen, and the parts that it covers; null: everything. */
const COVERS = {
  vision: ['vision'],
  decoder: ['text'],
  'cross-modal': ['cross-modal'],
  'vision+cross-modal': ['vision', 'cross-modal'],
  full: null,
} as const satisfies Record<string, readonly Part[] | null>;

export type Scope = keyof typeof COVERS;
const SCOPES = Object.keys(COVERS) as readonly Scope[];

/** The part of every learnt parameter by name, undefined for one that `parts` doesn't place. */
export function weightParts(
  graphs: readonly Graph[],
  parts: Parts | undefined,
): Map<string, Part | undefined> {
  const find = partOf(parts);
  const found = new Map<string, Part | undefined>();
  for (const graph of graphs) {
    for (const [name, { dotted }] of moduleNames(graph, (p) => p.role === 'weight')) {
      if (!found.has(name)) found.set(name, find(dotted));
    }
  }
  return found;
}

/** The scopes that a model has: those all of whose parts own a parameter, and `full`. */
export function scopesOf(parts: ReadonlyMap<string, Part | undefined>): Scope[] {
  const present = new Set(parts.values());
  return SCOPES.filter((scope) => COVERS[scope]?.every((part) => present.has(part)) ?? true);
}

/**
 * Names of the learnt parameters that train in a scope; `parts` as `weightParts` gives them.
 * @throws VersusError `usage` when the name is no scope, or the model has none of that name; lists those that it has
 */
export function trainedIn(
  scope: string,
  parts: ReadonlyMap<string, Part | undefined>,
  model: string,
): ReadonlySet<string> {
  const own = scopesOf(parts);
  if (!own.includes(scope as Scope)) {
    const known = SCOPES.includes(scope as Scope);
    const near = nearest(scope, own);
    const meant = !known && near.length > 0 ? `did you mean '${near[0]}'? ` : '';
    throw new VersusError('usage', known ? `${model} has no scope '${scope}'` : `unknown scope '${scope}'`, {
      next: `${meant}scopes of ${model}: ${own.join(', ')}`,
    });
  }
  const covered: readonly (Part | undefined)[] | null = COVERS[scope as Scope];
  return new Set([...parts].filter(([, part]) => covered?.includes(part) ?? true).map(([name]) => name));
}
