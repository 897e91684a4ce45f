import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { versus, workspace } from './versus.ts';

const BIN = resolve(import.meta.dirname, '../../src/versus.mjs');
const place = workspace();
afterAll(() => place.remove());

/** A temporary folder of its own for a command. */
function temporary(name: string): { folder: string; env: Record<string, string> } {
  const folder = join(place.dir, name);
  mkdirSync(folder);
  return { folder, env: { TMPDIR: folder } };
}

/** What we left there; tsx keeps a cache of its own. */
const left = (folder: string): string[] => readdirSync(folder).filter((name) => name.startsWith('versus-'));

describe('a command leaves nothing in the temporary folder', () => {
  it('when it is done', async () => {
    const { folder, env } = temporary('done');
    const ran = await versus(place.dir, ['list', '--json'], { env });
    expect(ran.code).toBe(0);
    expect(left(folder)).toEqual([]);
  });

  it('when its config cannot be loaded', async () => {
    const { folder, env } = temporary('broken');
    writeFileSync(join(place.dir, 'throws.config.ts'), "\nthrow new Error('on purpose');\n");
    const ran = await versus(place.dir, ['--config', 'throws.config.ts', 'list'], { env });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toMatch(/on purpose[\s\S]*throws\.config\.ts:2/);
    expect(left(folder)).toEqual([]);
  });

  it.skipIf(process.platform === 'win32')('when a signal ends it', async () => {
    const { folder, env } = temporary('ended');
    const args = ['estimate', 'qwen2-72b', '--train', 'full'];
    const child = spawn(process.execPath, [BIN, ...args], {
      cwd: place.dir,
      env: { ...process.env, ...env },
      stdio: 'ignore',
    });
    const ended = new Promise((done) => child.on('exit', (_, signal) => done(signal)));
    while (left(folder).length === 0) await sleep(20);
    await sleep(100);
    child.kill('SIGTERM');
    expect(await ended).toBe('SIGTERM');
    expect(left(folder)).toEqual([]);
  });
});
