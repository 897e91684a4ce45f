// @ts-check
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a config file is called, the first that is there. */
export const CONFIG_NAMES = ['bench.config.ts', 'bench.config.mts', 'bench.config.js', 'bench.config.mjs'];

/** The config that this package comes with. */
export const OUR_CONFIG = fileURLToPath(new URL('../../bench.config.ts', import.meta.url));

/**
 * The config file of a folder, absolute.
 * @param {string} cwd
 * @returns {string | undefined}
 */
export function configIn(cwd) {
  return CONFIG_NAMES.map((name) => resolve(cwd, name)).find((path) => existsSync(path));
}

/**
 * The config that a command line will want: the named one, the working folder's, ours.
 * @param {readonly string[]} args
 * @returns {string}
 */
export function configOf(args) {
  const at = args.findLastIndex((arg) => /^--config(=|$)/.test(arg));
  const named = args[at]?.includes('=') ? args[at].slice('--config='.length) : args[at + 1];
  if (at >= 0 && named !== undefined) return resolve(named);
  return configIn(process.cwd()) ?? OUR_CONFIG;
}
