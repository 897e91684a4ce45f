import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { z } from 'zod';
import { CONFIG_NAMES, configIn } from './code/find.mjs';
import { FromSources, runningCode } from './code/running.ts';
import { withDefaults } from './config/defaults.ts';
import { fieldName, lineOf } from './config/locate.ts';
import { configSchema } from './config/schema.ts';
import type { Config, UserConfig } from './core/config.ts';
import { reasonOf, VersusError } from './core/errors.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** Absolute path of the config file. */
  readonly path: string;
  /** Its folder: relative paths in the config are relative to it. */
  readonly dir: string;
}

/** The config file in a folder, or the one that was named. @throws VersusError `usage` when there is none. */
export function findConfig(cwd: string, named?: string): string {
  if (named !== undefined) {
    const path = resolve(cwd, named);
    if (existsSync(path)) return path;
    throw new VersusError('usage', `no config file at ${path}`, {
      next: 'name an existing file with --config, or leave it out',
    });
  }
  const path = configIn(cwd);
  if (path !== undefined) return path;
  throw new VersusError('usage', `no ${CONFIG_NAMES[0]} in ${cwd}`, {
    next: 'run versus in the folder of your bench.config.ts, or name it with --config FILE',
  });
}

/**
 * Imports and validates a config file. A loader for TypeScript must be registered (src/versus.mjs and the workers do).
 * @throws VersusError `usage` with file, line, field and what was expected.
 */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  const absolute = resolve(path);
  const module = await importConfig(absolute);
  const value = module.default;
  if (value === undefined) {
    throw new VersusError('usage', 'the config file has no default export', {
      where: absolute,
      next: 'write `export default defineConfig({ suites, backends })`',
    });
  }
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) throw fieldError(absolute, parsed.error.issues[0]!, value);
  const config = withDefaults(value as UserConfig);
  checkNames(absolute, config);
  return { config, path: absolute, dir: dirname(absolute) };
}

async function importConfig(path: string): Promise<{ default?: unknown }> {
  const code = runningCode(path);
  try {
    return (await import(pathToFileURL(code?.config ?? path).href)) as { default?: unknown };
  } catch (error) {
    if (code !== null) throw new FromSources();
    throw importError(path, error);
  }
}

/** The place in the user's own files that an import failed at. */
function importError(path: string, error: unknown): VersusError {
  if (error instanceof VersusError) {
    return new VersusError('usage', error.message, {
      where: error.where ?? path,
      next: error.next ?? 'mend the config file',
    });
  }
  const message = reasonOf(error);
  const transform = /(\S+?):(\d+):(\d+): ERROR: (.*)$/.exec(message);
  if (transform) {
    const [, file, line, column, text] = transform;
    return new VersusError('usage', `syntax error: ${text}`, {
      where: `${file}:${line}:${column}`,
      next: 'mend this line; `npx tsc --noEmit` shows the whole file',
    });
  }
  return new VersusError('usage', `the config could not be loaded: ${message}`, {
    where: placeInStack(error) ?? path,
    next: 'a config or plugin threw while it was imported: mend it there',
    cause: error,
  });
}

/** file:line[:column] of the first stack frame outside node_modules and node itself. */
function placeInStack(error: unknown): string | null {
  if (!(error instanceof Error) || !error.stack) return null;
  for (const line of error.stack.split('\n')) {
    const match = /((?:file:\/\/)?\/[^\s()]+?|[A-Z]:\\[^()]+?):(\d+)(?::(\d+))?\)?$/.exec(line.trim());
    if (!match || /node_modules|node:|loader-hooks/.test(line)) continue;
    const file = match[1]!.startsWith('file:') ? fileURLToPath(match[1]!) : match[1]!;
    if (resolve(file) === fileURLToPath(import.meta.url)) continue;
    return [file, match[2], match[3]].filter(Boolean).join(':');
  }
  return null;
}

function fieldError(path: string, issue: z.core.$ZodIssue, value: unknown): VersusError {
  const field = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
  const line = lineOf(readFileSync(path, 'utf8'), field);
  const plugin = pluginName(value, issue.path);
  const text = issue.code === 'unrecognized_keys' ? 'this field is not known' : issue.message;
  return new VersusError(
    'usage',
    `${fieldName(field) || 'the config'}${plugin ? ` (${plugin})` : ''}: ${text}`,
    {
      where: line === null ? path : `${path}:${line}`,
      next: 'see bench.config.ts in the README for the fields and their types',
    },
  );
}

/** The name of the nearest plugin along a path, so that `suites[2]` says which suite. */
function pluginName(root: unknown, path: readonly PropertyKey[]): string | null {
  let at: unknown = root;
  let name: string | null = null;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) break;
    at = (at as Record<PropertyKey, unknown>)[key];
    if (typeof at === 'object' && at !== null && 'name' in at && typeof at.name === 'string') name = at.name;
  }
  return name;
}

function checkNames(path: string, config: Config): void {
  const refuse = (field: string, message: string): never => {
    const line = lineOf(readFileSync(path, 'utf8'), [field]);
    throw new VersusError('usage', `${field}: ${message}`, {
      where: line === null ? path : `${relative(process.cwd(), path) || path}:${line}`,
      next: 'names must be unique and refer to something that exists',
    });
  };
  const unique = (field: string, items: readonly { readonly name: string }[]): void => {
    const seen = new Set<string>();
    for (const { name } of items) {
      if (seen.has(name)) refuse(field, `the name '${name}' is given twice`);
      seen.add(name);
    }
  };
  unique('suites', config.suites);
  unique('models', config.models);
  unique('backends', config.backends);
  unique('datasets', config.datasets);
  unique('reporters', config.reporters);
  for (const suite of config.suites) {
    unique(`suites (${suite.name}) arms`, suite.arms);
    const arms = new Set(suite.arms.map((arm) => arm.name));
    const grown = suite.growth?.lines.flatMap(({ points }) => points.map(({ arm }) => arm)) ?? [];
    const named = [
      ...suite.uses.flatMap((use) => use.arms ?? []),
      ...(suite.contrasts ?? []).flat(),
      ...grown,
    ];
    for (const arm of named) if (!arms.has(arm)) refuse('suites', `'${suite.name}' has no arm '${arm}'`);
    const cells = suite.uses.flatMap((use) =>
      use.batches.flatMap((batch) =>
        (use.arms ?? [...arms]).map((arm) => ({
          name: `${use.workload.name} at batch ${batch.size} of ${arm}`,
        })),
      ),
    );
    unique(`suites (${suite.name}) uses`, cells);
  }
  for (const [name, profile] of Object.entries(config.profiles)) {
    for (const suite of profile.suites ?? []) {
      if (!config.suites.some((s) => s.name === suite))
        refuse('profiles', `'${name}' names the suite '${suite}', which is not there`);
    }
  }
  if (!config.backends.some((b) => b.name === config.parity.reference)) {
    refuse('parity', `the reference backend '${config.parity.reference}' is not among the backends`);
  }
}
