/**
 * How fast seeded weights are made: generated only (one thread, no disk), as an artifact (generated, written, synced), and in
 * blocks of 4 bits (generated and packed, no disk; MB of the float32 numbers).
 * Usage: `node --import tsx scripts/bench-weights.ts [megabytes=512] [rounds=5]`. The bar is 300 MB/s (generated only).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Param } from '../src/core/graph.ts';
import { type DType, elementCount } from '../src/core/tensor.ts';
import { inBlocks } from '../src/weights/blocks.ts';
import { layout } from '../src/weights/header.ts';
import { seeded } from '../src/weights/index.ts';
import { streamSafetensors } from '../src/weights/safetensors-writer.ts';

const megabytes = Number(process.argv[2] ?? 512);
const rounds = Number(process.argv[3] ?? 5);

/** Matrices of 16 MB, as transformers have them, until the size is reached. */
function parameters(dtype: DType, bytesEach: number): Param[] {
  const width = bytesEach === 2 ? 4096 : 2048;
  const rows = (16 << 20) / bytesEach / width;
  return Array.from({ length: Math.ceil((megabytes * 1e6) / (16 << 20)) }, (_, i) => ({
    name: `layers.${i}.weight`,
    dtype,
    shape: [rows, width],
    role: 'weight',
    init: { kind: 'uniform', std: 0.02 },
  }));
}

async function measure(label: string, bytes: number, body: () => Promise<void>): Promise<void> {
  const rates: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    await body();
    rates.push(bytes / 1e3 / (performance.now() - start));
  }
  rates.sort((a, b) => a - b);
  const text = [rates[0]!, rates[rounds >> 1]!, rates[rounds - 1]!].map((r) => r.toFixed(0)).join(' / ');
  process.stdout.write(`${label}: ${text} MB/s (least / median / most of ${rounds})\n`);
}

const folder = await mkdtemp(join(tmpdir(), 'versus-bench-weights-'));
try {
  for (const [dtype, size] of [
    ['float32', 4],
    ['float16', 2],
  ] as const) {
    const params = parameters(dtype, size);
    const bytes = params.reduce((sum, p) => sum + size * elementCount(p.shape), 0);
    const source = await seeded().open(params);
    const buffer = new Uint8Array(4 << 20);
    await measure(`${dtype}, generated only`, bytes, async () => {
      for (const param of params) {
        for await (const chunk of source.read(param, buffer)) buffer[0] = chunk[chunk.length - 1]!;
      }
    });
    if (dtype === 'float32') {
      await measure('blocks of 4 bits, generated and packed', bytes, async () => {
        for (const of of params) {
          const packed = { of, transposed: false, bits: 4, holds: 'values', twin: '' } as const;
          for await (const piece of inBlocks(packed, () => source.read(of, buffer)))
            buffer[0] = piece.values[0]!;
        }
      });
    }
    const plan = layout(params);
    const byName = new Map(params.map((p) => [p.name, p]));
    const path = join(folder, 'weights.safetensors');
    await measure(`${dtype}, generated, written and synced`, bytes, async () => {
      await rm(path, { force: true });
      await streamSafetensors(path, plan, async (append) => {
        for (const { name } of plan.entries)
          for await (const chunk of source.read(byName.get(name)!, buffer)) await append(name, chunk);
      });
    });
  }
} finally {
  await rm(folder, { recursive: true });
}
