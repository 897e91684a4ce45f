import { resolve } from 'node:path';
import { findConfig, type LoadedConfig, loadConfig } from '../config.ts';

export interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** The config that the command line points at. */
export function contextOf(options: CommonOptions): Promise<LoadedConfig> {
  return loadConfig(findConfig(process.cwd(), options.config));
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

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** For people, beside the result: on stderr, so that stdout stays what was asked for. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
