import { existsSync } from 'node:fs';

/**
 * A path that ends in .ts, outside node_modules, is an ES module whatever the nearest package.json says; tsx would take it
 * for CommonJS, which cannot import ours. Everything else is resolved as usual.
 */
export async function resolve(specifier, context, next) {
  if (!/^(\.{0,2}\/|file:)/.test(specifier) || !specifier.endsWith('.ts')) return next(specifier, context);
  const url = new URL(specifier, context.parentURL);
  if (url.pathname.includes('/node_modules/') || !existsSync(url)) return next(specifier, context);
  return { url: url.href, format: 'module', shortCircuit: true };
}
