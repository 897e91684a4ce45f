import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { float32, int64, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { forwardOf } from '../../src/training/forward/index.ts';
import { adamCorrections } from '../../src/training/schedule.ts';
import { trainingStep } from '../../src/training/step.ts';
import { Trainer } from '../../src/training/trainer.ts';
import { model } from '../../src/zoo/index.ts';
import { oneThread } from '../one-thread.ts';

const backend = oneThread();
const BATCH = 2;

function wave(shape: readonly number[]): number[] {
  return Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => Math.sin(i * 0.7));
}

/** All of a model trains, in one precision or the other. */
async function opened(def: ModelDef, cacheDir: string, precision: 'fp32' | 'fp16') {
  const graphs = await def.build(def.config);
  const forward = await forwardOf(def, graphs, { batch: BATCH, sequence: 8 });
  const trainable = new Set(forward.graph.params.filter((p) => p.role === 'weight').map((p) => p.name));
  const step = await trainingStep(forward, {
    ...{ trainable, optimiser: { kind: 'adamw' }, precision },
    ...(backend.training && { target: backend.training }),
  });
  const batch: Tensors = {};
  for (const { name, dtype, shape } of step.inputs) {
    const values = wave(shape as number[]);
    batch[name] =
      dtype === 'int64'
        ? int64(
            shape as number[],
            values.map((v) => Math.floor(4 + 3 * v)),
          )
        : float32(shape as number[], values);
  }
  const trainer = await Trainer.open(def, step, { backend, cacheDir, maxBytes: 1e9 });
  const run = (t: number, lossScale: number) => {
    const corrections = adamCorrections(t, [0.9, 0.999]);
    return trainer.run(batch, { lr: 1e-3, loss_scale: lossScale, ...corrections });
  };
  return { trainer, step, run };
}

const llama = model('llama-tiny');
const everyPlace: ModelDef = { ...llama, config: { ...(llama.config as object), logits: 'all' } };

describe('training in float16 with float32 weights', () => {
  let cacheDir: string;
  beforeAll(async () => {
    cacheDir = await mkdtemp(join(tmpdir(), 'versus-half-'));
  });
  afterAll(() => rm(cacheDir, { recursive: true }));

  it.each([model('vit-tiny'), everyPlace])('has the loss curve of float32: $name', async (def) => {
    const losses: number[][] = [];
    for (const precision of ['fp32', 'fp16'] as const) {
      const { trainer, step, run } = await opened(def, cacheDir, precision);
      expect(step.state.every((s) => s.dtype === 'float32')).toBe(true);
      const own: number[] = [];
      for (let t = 1; t <= 6; t++) own.push((await run(t, 1024)).loss);
      losses.push(own);
      await trainer.close();
    }
    const [full, half] = losses as [number[], number[]];
    expect(full.at(-1)).toBeLessThan(0.9 * full[0]!);
    half.forEach((loss, i) => {
      expect(Math.abs(loss / full[i]! - 1), `step ${i}: ${loss} against ${full[i]}`).toBeLessThan(0.02);
    });
  });

  it('leaves the state alone where a gradient overflows, until the scale can fall no more', async () => {
    const { trainer, step, run } = await opened(model('vit-tiny'), cacheDir, 'fp16');
    const name = step.state[0]!.input;
    const before = [...toNumbers(await trainer.read(name))];
    expect(await run(1, 1e30)).toMatchObject({ taken: false });
    expect([...toNumbers(await trainer.read(name))]).toEqual(before);
    expect(await run(1, 1024)).toMatchObject({ taken: true });
    expect([...toNumbers(await trainer.read(name))]).not.toEqual(before);
    await trainer.close();
  });
});
