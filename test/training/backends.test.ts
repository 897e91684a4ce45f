import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import { reference } from '../../src/backends/reference.ts';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import { oneThread } from '../one-thread.ts';
import { type Curve, curve, MODELS, STEPS } from './curve.ts';

const oracles = new Map<string, Curve>();
let cacheDir: string;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'versus-curves-'));
  for (const [name, model] of Object.entries(MODELS))
    oracles.set(name, await curve(model, reference, cacheDir));
});
afterAll(() => rm(cacheDir, { recursive: true }));

/*
 * One step on every runtime. The interpreter is the oracle; that its gradients are right, finite differences and recorded runs
 * of torch say elsewhere. GPUs may be emulated ones, which spend their time on translating shaders.
 */
for (const backend of [oneThread(), tfjs('wasm'), onnxruntime('webgpu'), tfjs('webgpu')]) {
  const availability = await backend.probe();
  const title = availability.available ? backend.name : `${backend.name}: ${availability.reason}`;
  describe.skipIf(!availability.available)(title, { timeout: 300_000 }, () => {
    it.each(
      Object.keys(MODELS),
    )('trains %s as the interpreter does, its state on the device', async (name) => {
      const { losses, moved } = await curve(MODELS[name]!, backend, cacheDir);
      const wanted = oracles.get(name)!.losses;
      expect(losses).toHaveLength(STEPS);
      losses.forEach((loss, i) => {
        expect(Math.abs(loss / wanted[i]! - 1), `loss ${loss} of step ${i}, not ${wanted[i]}`).toBeLessThan(
          1e-3,
        );
      });
      const mean = (of: readonly number[]) => of.reduce((a, b) => a + b, 0) / of.length;
      expect(mean(losses.slice(-3))).toBeLessThan(0.8 * mean(losses.slice(0, 3)));
      expect(moved).toEqual({ toDevice: moved.fed, toHost: 4 * STEPS, fed: moved.fed });
    });
  });
}
