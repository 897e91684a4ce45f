import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { MeasuredStep } from '../../scripts/step-memory.ts';
import { Arena } from '../../src/training/arena.ts';

const MB = 2 ** 20;

async function measured(how: string): Promise<MeasuredStep> {
  const dir = await mkdtemp(join(tmpdir(), 'versus-memory-'));
  const child = join(import.meta.dirname, 'memory-child.ts');
  const loader = join(import.meta.dirname, '..', '..', 'src', 'loader.mjs');
  try {
    const args = ['--expose-gc', '--import', loader, child, how, dir];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    return JSON.parse(stdout) as MeasuredStep;
  } finally {
    await rm(dir, { recursive: true });
  }
}

describe('memory of a training step', () => {
  it('is what is predicted, does not grow from step to step, and is less for adapters than for all', async () => {
    const [full, lora, again] = await Promise.all(['full', 'lora', 'again'].map(measured));
    if (!full || !lora || !again) throw new Error('a child is missing');
    for (const { growth, off, predicted } of [full, lora, again]) {
      expect(Math.abs(off)).toBeLessThan(0.15);
      // The second step finds the arena as the first left it, and may need another page or two; the third finds it as it was.
      expect(growth.measured[2]! - growth.measured[1]!).toBeLessThan(4 * MB);
      expect(growth.predicted).toBeGreaterThan(50 * MB);
      const { total, ...parts } = predicted;
      expect(total).toBe(Object.values(parts).reduce((sum, bytes) => sum + bytes, 0));
    }
    expect(lora.growth.measured.at(-1)).toBeLessThan(full.growth.measured.at(-1)!);
    // The same step within three quarters of the memory: state stays, so it is the rest that shrinks.
    expect(again.predicted.total).toBeLessThanOrEqual(0.75 * full.predicted.total);
    const saved = full.predicted.total - again.predicted.total;
    const last = ({ growth }: MeasuredStep) => growth.measured.at(-1)!;
    expect(last(full) - last(again)).toBeGreaterThan(0.7 * saved);
    expect(full.predicted.optimiser).toBe(2 * full.predicted.weights);
  }, 300_000);
});

describe('the arena', () => {
  it('takes the smallest chunk that fits and joins what is free again', () => {
    const arena = new Arena();
    const [a, b, c] = [arena.allocate(300_000), arena.allocate(100_000), arena.allocate(300_000)];
    expect([a!.from, b!.from, c!.from]).toEqual([0, 300_032, 400_128]);
    arena.release(a);
    arena.release(c);
    // Behind b all is one chunk again, larger than the gap before it, which is not cut: the rest would be smaller than itself.
    const d = arena.allocate(290_000)!;
    expect([d.from, d.size]).toEqual([0, 300_032]);
    arena.release(b);
    expect(arena.allocate(600_000)!.from).toBe(300_032);
    expect(arena.touched).toBe(Math.ceil(900_032 / 4096) * 4096);
    // More than is left: a region of its own, of the next power of two.
    expect(arena.allocate(3 * MB)).toMatchObject({ region: 1, from: 0 });
    expect(arena.allocate(0)).toBeNull();
  });
});
