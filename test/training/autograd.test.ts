import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAutogradSession } from '../../src/backends/tfjs/autograd/index.ts';
import { loadAutograd } from '../../src/backends/tfjs/autograd/load.ts';
import { forwardOf } from '../../src/training/forward/index.ts';
import { oneThread } from '../one-thread.ts';
import { ADAMW, batchAt, curve, MODELS, SIZES, STEPS, scalarsAt, weightsOf } from './curve.ts';
import { numbersOf } from './numbers.ts';

let cacheDir: string;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'versus-autograd-'));
});
afterAll(() => rm(cacheDir, { recursive: true }));

/** The second oracle: the models written again in other operators, differentiated by somebody else. */
describe('tfjs’s own autograd', () => {
  it.each(['vit-tiny', 'llama-tiny'])('trains %s to the losses of our step', async (name) => {
    const model = MODELS[name]!;
    const forward = await forwardOf(model, await model.build(model.config), SIZES);
    const weights = await numbersOf(model, forward.graph);
    const given = { sizes: SIZES, weights, optimiser: ADAMW };
    const { tf } = await loadAutograd('wasm');
    const before = tf.memory();
    const trainer = await openAutogradSession('wasm', model, given, { precision: 'fp32' });
    const losses: number[] = [];
    const held: number[] = [];
    for (let at = 0; at < STEPS; at++) {
      losses.push((await trainer.run(batchAt(at, forward), scalarsAt(at))).loss);
      held.push(tf.memory().numBytes - before.numBytes);
    }
    const state = weightsOf(forward).reduce((sum, w) => sum + 3 * weights[w]!.data.byteLength, 0);
    expect(new Set(held)).toEqual(new Set([state]));
    expect(trainer.peakBytes).toBeGreaterThan(state);
    await trainer.close();
    expect(tf.memory().numTensors).toBe(before.numTensors);

    const { losses: ours } = await curve(model, oneThread(), cacheDir);
    losses.forEach((loss, i) => {
      expect(Math.abs(ours[i]! / loss - 1), `loss ${ours[i]} of step ${i}, not ${loss}`).toBeLessThan(1e-3);
    });
  });

  it('says which models it has', async () => {
    const model = MODELS['resnet-tiny']!;
    const given = { sizes: SIZES, weights: {}, optimiser: ADAMW };
    const opening = openAutogradSession('wasm', model, given, { precision: 'fp32' });
    await expect(opening).rejects.toMatchObject({ kind: 'unsupported', where: 'resnet-tiny' });
  });
});
