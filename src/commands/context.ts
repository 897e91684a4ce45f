import { resolve } from 'node:path';
import { configIn, OUR_CONFIG } from '../code/find.mjs';
import { findConfig, type LoadedConfig, loadConfig } from '../config.ts';

export interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** The config that the command line points at. */
export function contextOf(options: CommonOptions): Promise<LoadedConfig> {
  return loadConfig(findConfig(process.cwd(), options.config));
}

/** The same for commands that only look: where the folder has no config, the one that this package came with serves. */
export function lookingContextOf(options: CommonOptions): Promise<LoadedConfig> {
  if (options.config !== undefined || configIn(process.cwd()) !== undefined) return contextOf(options);
  return loadConfig(OUR_CONFIG);
}

/** Folder of the reports: `--out` from the working folder, else the config's. */
export function reportsDir(loaded: LoadedConfig, out?: string): string {
  return out === undefined ? resolve(loaded.dir, loaded.config.out) : resolve(out);
}

export function cacheDir(loaded: LoadedConfig): string {
  return resolve(loaded.dir, loaded.config.cache.dir);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** As JSON; what a terminal could take for a command or a change of direction is escaped, so the strings stay what they are. */
export function printJson(value: unknown): void {
  const unsafe = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
  const escaped = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  print(JSON.stringify(value, null, 2).replace(unsafe, escaped));
}

/** For people, beside the result: on stderr, so that stdout stays what was asked for. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
