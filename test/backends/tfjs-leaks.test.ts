import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadEngine } from '../../src/backends/tfjs/engine.ts';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import { float32 } from '../../src/core/tensor.ts';
import { prepareArtifacts } from '../../src/weights/index.ts';
import { model } from '../../src/zoo/index.ts';
import { workplace } from './artifact.ts';
import { cache, dense } from './contract-graphs.ts';

const FP32 = { precision: 'fp32' } as const;

describe('tfjs keeps nothing that it was not asked to keep', () => {
  const files = workplace();

  it('over 10,000 runs', async () => {
    const { tf } = await loadEngine('wasm');
    const session = await tfjs('wasm').open(await files.write(dense()), FP32);
    const feeds = { x: float32([2, 3], [1, 2, 3, 4, 5, 6]) };
    await session.run(feeds);
    const before = { ...tf.memory() };
    for (let i = 0; i < 10_000; i++) await session.run(feeds);
    expect(tf.memory()).toMatchObject({
      numTensors: before.numTensors,
      numDataBuffers: before.numDataBuffers,
      numBytes: before.numBytes,
    });
    await session.close();
  });

  it('when every run has other shapes, as a growing cache has', async () => {
    const { tf } = await loadEngine('wasm');
    const session = await tfjs('wasm').open(await files.write(cache()), FP32);
    const counts: number[] = [];
    for (let past = 0; past < 60; past++) {
      await session.run({
        past: float32([1, 2, past, 3], new Float32Array(6 * past)),
        now: float32([1, 2, 1, 3], new Float32Array(6)),
      });
      counts.push(tf.memory().numTensors);
    }
    expect(Math.max(...counts.slice(20))).toBe(Math.max(...counts.slice(0, 20)));
    await session.close();
  });

  it('after closing, weights included', async () => {
    const { tf } = await loadEngine('wasm');
    const before = tf.memory().numTensors;
    const def = model('vit-tiny');
    const cacheDir = await mkdtemp(join(tmpdir(), 'versus-leaks-'));
    const artifacts = await prepareArtifacts(def, { cacheDir, maxBytes: 1e9, precision: 'fp32' });
    const session = await tfjs('wasm').open(artifacts.model!, FP32);
    expect(tf.memory().numTensors).toBeGreaterThan(before + 20);
    await session.run({ pixel_values: float32([1, 3, 64, 64], new Float32Array(3 * 64 * 64)) });
    await session.close();
    expect(tf.memory().numTensors).toBe(before);
    await rm(cacheDir, { recursive: true });
  });
});
