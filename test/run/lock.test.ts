import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { announce, lockRun } from '../../src/run/lock.ts';
import { createRunFolder, findRun, newRunId } from '../../src/run/paths.ts';

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'versus-lock-'));
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

describe('a run’s folder', () => {
  it('is written by one process at a time', () => {
    const file = path.join(dir, 'lock');
    const unlock = lockRun(file);
    expect(() => lockRun(file)).toThrow(expect.objectContaining({ kind: 'usage' }));
    unlock();
    lockRun(file)();
    expect(fs.existsSync(file)).toBe(false);
  });

  it.each([
    ['a dead process', () => JSON.stringify({ pid: 2 ** 22 + 12345, started: null })],
    ['another process that has our number', () => JSON.stringify({ pid: process.pid, started: '1' })],
    ['nobody can say', () => 'garbage'],
  ])('is taken over from %s', (_who, owner) => {
    const file = path.join(dir, 'lock');
    fs.writeFileSync(file, owner());
    lockRun(file)();
    expect(fs.existsSync(file)).toBe(false);
  });

  it('is never shared, also when two start in the same second', () => {
    const now = new Date('2026-01-31T10:15:00Z');
    const runs = Array.from({ length: 50 }, () => createRunFolder(dir, now));
    expect(new Set(runs.map((run) => run.dir)).size).toBe(50);
    expect(runs[0]!.id).toMatch(/^20260131-101500-[0-9a-z]{4}$/);
    expect(newRunId(now) < newRunId(new Date('2026-01-31T10:15:01Z'))).toBe(true);
  });

  it('is found by id and by path, and missed with a hint', () => {
    const run = createRunFolder(dir);
    fs.writeFileSync(run.records, '');
    expect(findRun(dir, run.id).dir).toBe(run.dir);
    expect(findRun('/nowhere', run.dir).id).toBe(run.id);
    expect(() => findRun(dir, 'other')).toThrow(expect.objectContaining({ kind: 'usage' }));
  });

  it('that cannot be made is a clear error', () => {
    fs.writeFileSync(path.join(dir, 'file'), '');
    expect(() => createRunFolder(path.join(dir, 'file'))).toThrow(
      expect.objectContaining({ kind: 'infrastructure', next: expect.stringContaining('--out') }),
    );
  });
});

describe('another run on the machine', () => {
  it('is noticed while it lives and forgotten afterwards', async () => {
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)']);
    const mark = path.join(dir, `versus-measuring-${child.pid}.json`);
    fs.writeFileSync(mark, JSON.stringify({ pid: child.pid, started: null }));
    const first = announce(dir);
    expect(first.others).toEqual([child.pid]);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(announce(dir).others).toEqual([]);
    first.end();
    expect(fs.readdirSync(dir)).toEqual([]);
  });

  it('cannot be found in a folder that is not there, and that is no error', () => {
    const presence = announce(path.join(dir, 'nowhere'));
    expect(presence.others).toEqual([]);
    presence.end();
  });
});
