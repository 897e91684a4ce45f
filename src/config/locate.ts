/** A field's path as people write it: `suites[1].arms[0].name`. */
export function fieldName(path: readonly PropertyKey[]): string {
  return path
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${String(key)}`))
    .join('');
}

/**
 * The line of a config file on which a field stands, 1-based; null when no key of the path is written in this file
 * (the value then comes from an imported one). It reads the text for `key:` in the path's order, which is
 * right for literal configs and never more than a hint for computed ones.
 */
export function lineOf(source: string, path: readonly PropertyKey[]): number | null {
  let from = 0;
  let found = -1;
  for (const key of path) {
    if (typeof key === 'number') continue;
    const escaped = String(key).replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const match = new RegExp(`(?:^|[{,\\s])['"]?${escaped}['"]?\\s*[:,(}]`, 'm').exec(source.slice(from));
    if (!match) break;
    const at = from + match.index + (/^[{,\s]/.test(match[0]) ? 1 : 0);
    found = at;
    from = at + String(key).length;
  }
  if (found < 0) return null;
  return source.slice(0, found).split('\n').length;
}
