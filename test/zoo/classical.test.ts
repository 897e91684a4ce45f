import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import { random } from '../../src/core/random.ts';
import { float32, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { Sessions } from '../../src/verify/sessions.ts';
import { prepareArtifacts, readSafetensors, safetensors, writeSafetensors } from '../../src/weights/index.ts';
import type { BagOfWordsConfig } from '../../src/zoo/classical.ts';
import { model } from '../../src/zoo/index.ts';
import { oneThread } from '../one-thread.ts';
import { withModel } from './run-model.ts';

/** Unit descriptors, the last `absent` rows of each image empty. */
function descriptors(batch: number, keypoints: number, absent: readonly number[]): Float32Array {
  const draw = random(3);
  const out = new Float32Array(batch * keypoints * 129);
  for (let i = 0; i < batch; i++) {
    for (let k = 0; k < keypoints - absent[i]!; k++) {
      const row = Float64Array.from({ length: 128 }, () => draw.uniform());
      const length = Math.hypot(...row);
      out.set([...row.map((v) => v / length), 1], (i * keypoints + k) * 129);
    }
  }
  return out;
}

describe('a bag of words', () => {
  const bag = model('sift-tiny');
  const { words, smoothing, classes, features } = bag.config as BagOfWordsConfig;
  let dir: string;
  let weights: Tensors;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'versus-classical-'));
    const draw = random(9);
    const between = (count: number, scale: number) =>
      Float32Array.from({ length: count }, () => scale * draw.uniform());
    await writeSafetensors(join(dir, 'weights.safetensors'), {
      'codebook.weight': float32([words, 128], between(words * 128, 0.15)),
      'classifier.weight': float32([classes, words], between(classes * words, 2)),
      'classifier.bias': float32([classes], between(classes, 1)),
    });
    weights = await readSafetensors(join(dir, 'weights.safetensors'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  /** Written from the definition, in float64. */
  function expected(rows: Float32Array, image: number): number[] {
    const [codebook, w, bias] = ['codebook.weight', 'classifier.weight', 'classifier.bias'].map((n) =>
      toNumbers(weights[n]!),
    ) as [Float64Array, Float64Array, Float64Array];
    const frequencies = new Float64Array(words);
    let count = 0;
    for (let k = 0; k < features.keypoints; k++) {
      const row = rows.subarray(
        (image * features.keypoints + k) * 129,
        (image * features.keypoints + k + 1) * 129,
      );
      if (row[128] === 0) continue;
      count++;
      const kernel = Array.from({ length: words }, (_, word) => {
        let square = 0;
        for (let i = 0; i < 128; i++) square += (row[i]! - codebook[word * 128 + i]!) ** 2;
        return Math.exp(-square / (2 * smoothing ** 2));
      });
      const total = kernel.reduce((a, b) => a + b, 0);
      kernel.forEach((v, word) => {
        frequencies[word]! += v / total;
      });
    }
    return Array.from({ length: classes }, (_, c) => {
      let sum = bias[c]!;
      for (let word = 0; word < words; word++)
        sum += w[c * words + word]! * Math.sqrt(frequencies[word]! / Math.max(1, count));
      return sum;
    });
  }

  it('is what its definition says, with weights of a file; an empty image gets the bias', async () => {
    const rows = descriptors(3, features.keypoints, [0, 7, features.keypoints]);
    const trained = { ...bag, weights: safetensors(join(dir, 'weights.safetensors')) };
    const { logits } = await withModel(trained, (s) =>
      s.run('model', { features: float32([3, features.keypoints, 129], rows) }),
    );
    const found = toNumbers(logits!);
    for (let image = 0; image < 3; image++) {
      expected(rows, image).forEach((v, c) => {
        expect(found[image * classes + c]).toBeCloseTo(v, 5);
      });
    }
    expect([...found.subarray(2 * classes)]).toEqual([...toNumbers(weights['classifier.bias']!)]);
  });

  it.each(['sift-tiny', 'hog-tiny'])('%s agrees with itself in half precision', async (name) => {
    const m = model(name);
    const feed = (shape: readonly number[]) =>
      name === 'sift-tiny'
        ? descriptors(2, features.keypoints, [0, 5])
        : Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (i % 13) / 40);
    const run = async (precision: 'fp32' | 'fp16') => {
      const artifacts = await prepareArtifacts(m, { cacheDir: join(dir, 'cache'), maxBytes: 1e9, precision });
      const sessions = new Sessions(oneThread(), artifacts, { precision });
      const [input] = (await sessions.session('model')).inputs;
      const shape = [2, ...(input!.shape.slice(1) as number[])];
      const { logits } = await sessions.run('model', { features: float32(shape, feed(shape)) });
      await sessions.close();
      return toNumbers(logits!);
    };
    const [full, half] = [await run('fp32'), await run('fp16')];
    expect(Math.max(...full.map(Math.abs))).toBeGreaterThan(0.01);
    expect(Math.max(...full.map((v, i) => Math.abs(v - half[i]!)))).toBeLessThan(5e-3);
  });
});

describe('impossible configurations', () => {
  it.each([
    ['hog-tiny', { cell: 12 }, 'height / cell'],
    ['hog-tiny', { cell: 64 }, 'height / cell'],
    ['hog-tiny', { bins: 0 }, 'bins'],
    ['sift-tiny', { keypoints: 0 }, 'keypoints'],
    ['sift-tiny', { height: 3 }, 'height'],
    ['sift-tiny', { width: 20.5 }, 'width'],
  ])('%s with features %j: the field is named', async (name, change, field) => {
    const m = model(name);
    const config = m.config as { features: object };
    const build = async () => m.build({ ...config, features: { ...config.features, ...change } });
    const error = await build().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(VersusError);
    expect((error as VersusError).kind).toBe('usage');
    expect((error as VersusError).where).toContain(field);
  });

  it('no smoothing', async () => {
    const m = model('sift-tiny');
    const build = async () => m.build({ ...(m.config as object), smoothing: 0 });
    await expect(build()).rejects.toThrow(/smoothing must be greater than 0/);
  });
});
