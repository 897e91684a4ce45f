import { fork, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const BIN = join(ROOT, 'src/versus.mjs');
const SEVERAL = join(ROOT, 'test/cli/several.mjs');

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A temporary folder with the example plugin's config in it, which imports from this checkout. */
export function workspace(): { dir: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'versus-cli-'));
  cpSync(join(ROOT, 'test/plugin'), dir, { recursive: true });
  for (const file of ['model', 'dataset', 'backend', 'suite', 'reporter', 'bench.config']) {
    const path = join(dir, `${file}.ts`);
    const text = readFileSync(path, 'utf8').replaceAll("'../../src/", `'${ROOT}/src/`);
    writeFileSync(path, text.replaceAll("from 'sharp'", `from '${ROOT}/node_modules/sharp/dist/index.mjs'`));
  }
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** The real command line in `cwd`. `during` may signal the process while it runs. */
export function versus(
  cwd: string,
  args: readonly string[],
  options: {
    env?: Record<string, string>;
    during?: (child: { pid: number; stderr: () => string }) => void;
  } = {},
): Promise<Ran> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [BIN, ...args], {
      cwd,
      env: { ...process.env, NO_COLOR: '1', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    let watching = options.during;
    const watch = (): void => watching?.({ pid: child.pid!, stderr: () => stderr });
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
      watch();
    });
    child.on('error', fail);
    child.on('close', (code) => {
      watching = undefined;
      done({ code, stdout, stderr });
    });
  });
}

/**
 * The same for several command lines that read only, one after another in a single process: most of what such a line takes
 * is loading the package. Where the process itself matters (signals, streams, that it comes to an end), use `versus`.
 */
export function versusEach(
  cwd: string,
  lines: readonly (readonly string[])[],
  env: Record<string, string> = {},
): Promise<Ran[]> {
  return new Promise((done, fail) => {
    const child = fork(SEVERAL, { cwd, env: { ...process.env, NO_COLOR: '1', ...env }, silent: true });
    let said = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    child.stderr!.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    child.on('message', (answers) => done(answers as Ran[]));
    child.on('error', fail);
    child.on('close', (code, signal) => fail(new Error(`ended with ${signal ?? code}: ${said}`)));
    child.send(lines);
  });
}
