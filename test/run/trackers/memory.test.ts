import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { trackMemory } from '../../../src/run/trackers/memory.ts';
import { readByPs } from '../../../src/run/trackers/resident.ts';

const MB = 1e6;
/** Says ready, allocates and touches 200 MB on a line of input, frees it soon after, and says so. */
const CHILD = `
process.stdout.write('ready\\n');
process.stdin.once('data', () => {
  let block = Buffer.alloc(200e6, 1);
  setTimeout(() => { block = null; gc(); process.stdout.write('freed\\n'); }, Number(process.argv[1]));
});
setTimeout(() => {}, 60000);
`;

let child: ChildProcess | undefined;
afterEach(() => child?.kill('SIGKILL'));

async function start(holdMs: number): Promise<ChildProcess> {
  child = spawn(process.execPath, ['--expose-gc', '-e', CHILD, `${holdMs}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout!, 'data');
  return child;
}

describe.runIf(process.platform === 'linux')('trackMemory', () => {
  it('sees 200 MB come and go', async () => {
    const { pid, stdin, stdout } = await start(100);
    const tracker = trackMemory(pid!);
    tracker.markBaseline();
    stdin!.write('go\n');
    await once(stdout!, 'data');
    const sample = await tracker.stop();
    expect(sample).toMatchObject({ method: 'proc', interval_ms: 10, peak_gpu: null });
    expect(sample.baseline_rss).toBeGreaterThan(20 * MB);
    expect(sample.difference_rss).toBeGreaterThan(195 * MB);
    expect(sample.difference_rss).toBeLessThan(260 * MB);
    expect(sample.peak_rss).toBe(sample.baseline_rss! + sample.difference_rss!);
    expect(sample.observations).toBeGreaterThan(5);
  });

  it('catches what falls between two looks, and only that after the baseline', async () => {
    const { pid, stdin, stdout } = await start(0);
    const tracker = trackMemory(pid!, { intervalMs: 3600_000 });
    tracker.markBaseline();
    stdin!.write('go\n');
    await once(stdout!, 'data');
    const first = await tracker.stop();
    expect(first.observations).toBe(2);
    expect(first.difference_rss).toBeGreaterThan(195 * MB);
    // The high-water mark of the 200 MB is older than this baseline.
    const later = trackMemory(pid!, { intervalMs: 3600_000 });
    later.markBaseline();
    expect((await later.stop()).difference_rss).toBeLessThan(20 * MB);
  });

  it('keeps what it saw of a process that is gone, and knows nothing of one it never saw', async () => {
    const { pid } = await start(0);
    const tracker = trackMemory(pid!);
    tracker.markBaseline();
    child!.kill('SIGKILL');
    await once(child!, 'exit');
    await sleep(30);
    const sample = await tracker.stop();
    expect(sample.baseline_rss).toBeGreaterThan(20 * MB);
    expect(sample.peak_rss).toBeGreaterThanOrEqual(sample.baseline_rss!);
    const never = trackMemory(pid!);
    never.markBaseline();
    expect(await never.stop()).toMatchObject({
      baseline_rss: null,
      peak_rss: null,
      difference_rss: null,
      peak_gpu: null,
      observations: 0,
    });
  });

  it('has no difference where the process never became ready', async () => {
    const tracker = trackMemory((await start(0)).pid!);
    await sleep(50);
    const sample = await tracker.stop();
    expect(sample.baseline_rss).toBeNull();
    expect(sample.difference_rss).toBeNull();
    expect(sample.peak_rss).toBeGreaterThan(20 * MB);
  });

  it('asks ps where there is no /proc', async () => {
    const { pid } = await start(0);
    const seen = await readByPs(pid!).read();
    expect(seen!.rss).toBeGreaterThan(20 * MB);
    expect(seen!.mark).toBeNull();
    child!.kill('SIGKILL');
    await once(child!, 'exit');
    expect(await readByPs(pid!).read()).toBeNull();
  });
});

describe.runIf(process.platform === 'linux')('GPU memory', () => {
  const path = process.env.PATH;
  afterEach(() => {
    process.env.PATH = path;
  });

  it.each([
    [
      'adds up what the process holds on all GPUs at once',
      'PID, GPU-a, 100\\nPID, GPU-b, 50\\n1, GPU-a, 900\\nPID, GPU-a, 20',
      150,
    ],
    ['is unknown where the driver does not say', 'PID, GPU-a, [N/A]\\nNo running processes found', null],
  ])('%s', async (_, lines, expected) => {
    const folder = await mkdtemp(join(tmpdir(), 'versus-smi-'));
    try {
      const { pid } = await start(0);
      const script = `#!/bin/sh\nprintf '${lines.replaceAll('PID', `${pid}`)}\\n'\nexec sleep 60\n`;
      await writeFile(join(folder, 'nvidia-smi'), script);
      await chmod(join(folder, 'nvidia-smi'), 0o755);
      process.env.PATH = `${folder}:${path}`;
      const tracker = trackMemory(pid!);
      tracker.markBaseline();
      await sleep(300);
      const { peak_gpu } = await tracker.stop();
      expect(peak_gpu).toBe(expected === null ? null : expected * 2 ** 20);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
