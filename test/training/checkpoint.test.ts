import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { float32 } from '../../src/core/tensor.ts';
import { withAllLogits } from '../../src/estimate/resize.ts';
import { type Row, readCheckpoint } from '../../src/training/checkpoint.ts';
import { RunLog } from '../../src/training/run-log.ts';
import { setUp } from '../../src/training/setup.ts';
import { findCheckpoint, Store } from '../../src/training/store.ts';
import { readSafetensors, safetensors, seeded, writeSafetensors } from '../../src/weights/index.ts';
import { model } from '../../src/zoo/index.ts';
import { edgeNet } from '../plugin/model.ts';
import { type Case, ofTexts, settings, sgd, Trainings } from './training-cases.ts';

const EDGE: Case = { def: edgeNet('edge-net-8', 8), settings: settings() };
const LLAMA = withAllLogits(model('llama-tiny'));
const LORA = { r: 2, alpha: 4, targets: ['q_proj'], dropout: 0 };
const three = settings({ schedule: { kind: 'constant', rate: 1e-3, warmup: 0, steps: 3 } });

let trainings: Trainings;
/** A finished training of three steps. */
let edge: string;
let step3: string;
beforeAll(async () => {
  trainings = await Trainings.open();
  edge = trainings.at('edge');
  step3 = (await trainings.run({ ...EDGE, settings: three }, edge)).checkpoint;
});
afterAll(() => trainings.remove());

describe('a checkpoint', () => {
  it('refuses another model, scope, optimiser, batch and order', async () => {
    const goOn = (one: Case) => trainings.run(one, trainings.at('never'), { resume: edge });
    await expect(goOn({ ...EDGE, def: edgeNet('edge-net-16', 16) })).rejects.toThrow(
      /of model edge-net-8, whose parameters are not those of edge-net-16/,
    );
    const with_ = (more: Parameters<typeof settings>[0]) => goOn({ ...EDGE, settings: settings(more) });
    await expect(with_({ optimiser: sgd })).rejects.toThrow(/optimiser was .*adamw.* and is .*sgd/);
    await expect(with_({ batch: 2 })).rejects.toThrow(/batch was 4, and is 2/);
    await expect(with_({ seed: 4 })).rejects.toThrow(/seed was 3, and is 4/);
    await expect(with_({ clipNorm: null })).rejects.toThrow(/gradients was "clipped", and is "not clipped"/);
    await expect(with_({ lora: { ...LORA, targets: ['head'] } })).rejects.toThrow(/LoRA was null/);
    await expect(goOn({ ...EDGE, settings: three })).rejects.toThrow(/has taken 3 of 3 steps/);
  });

  it.each<[string, (folder: string) => Promise<void> | void, RegExp]>([
    ['of another version', edited({ version: 2 }), /version/],
    ['with a step that is none', edited({ step: -1 }), /step/],
    ['that names more', edited({ path: '/etc/passwd' }), /path/],
    ['that tells of other steps', edited({ step: 2 }), /history does not tell of 2 steps/],
    ['without trainer.json', (f) => writeFileSync(join(f, 'trainer.json'), '{'), /cannot be read/],
    ['without a moment', without('moment1/head.bias'), /the optimiser's moment1\/head.bias is missing/],
    ['with a moment of another shape', moment('moment1/head.bias'), /moment1\/head.bias is float32 \[5\]/],
    ['with another tensor', moment('moment3/head.bias'), /moment3\/head.bias is none of the optimiser's/],
  ])('is refused %s', async (name, damage, message) => {
    const folder = trainings.at(`damaged ${name}`);
    cpSync(step3, folder, { recursive: true });
    await damage(folder);
    const run = trainings.run(EDGE, trainings.at('never'), { resume: folder });
    await expect(run).rejects.toThrow(message);
  });

  it('of adapters lies beside weights that a plain checkpoint holds, and goes on beside those alone', async () => {
    const once = settings({ ...ofTexts, schedule: { kind: 'constant', rate: 1e-3, warmup: 0, steps: 1 } });
    const full = await trainings.run({ def: LLAMA, settings: once }, trainings.at('llama'));
    const base = safetensors(full.checkpoint);
    const one = { def: { ...LLAMA, weights: base }, settings: { ...once, lora: LORA } };
    const adapters = trainings.at('adapters');
    const { checkpoint } = await trainings.run(one, adapters);
    expect(readdirSync(checkpoint).sort()).toEqual([
      ...['adapter_config.json', 'adapter_model.safetensors', 'optimiser.safetensors', 'trainer.json'],
    ]);
    expect(Object.keys(await readSafetensors(join(checkpoint, 'adapter_model.safetensors')))).toContain(
      'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight',
    );
    const longer = { ...one.settings, schedule: { ...once.schedule, steps: 2 } };
    const elsewhere = { def: { ...LLAMA, weights: seeded(9) }, settings: longer };
    await expect(trainings.run(elsewhere, adapters, { resume: adapters })).rejects.toThrow(
      /adapters were trained beside other weights/,
    );
    const further = await trainings.run({ ...one, settings: longer }, adapters, { resume: adapters });
    expect(further.steps).toBe(2);
  });
});

describe('a training whose loss is no number', () => {
  it('stops, names the step, and keeps the checkpoint of weights that gave a number', async () => {
    const out = trainings.at('diverges');
    cpSync(edge, out, { recursive: true });
    const wild = settings({ schedule: { kind: 'constant', rate: 1e30, warmup: 0, steps: 9 } });
    const run = trainings.run({ ...EDGE, settings: wild }, out, { resume: out, saveEvery: 1 });
    const error = await run.catch((e: unknown) => e as { message: string; next: string; kind: string });
    // Step 4 makes the weights huge, and its checkpoint is the newest when step 5 finds out.
    expect(error).toMatchObject({ kind: 'input', message: expect.stringMatching(/loss of step 5 is/) });
    expect((error as { next: string }).next).toContain(`the last good checkpoint is ${join(out, 'step-3')}`);
    expect(await findCheckpoint(out)).toMatchObject({ checkpoint: join(out, 'step-3'), newest: true });
    expect((await readCheckpoint(join(out, 'step-3'))).about.step).toBe(3);
  });
});

describe('a place for checkpoints', () => {
  it('keeps the newest two and the one that is gone on from, and shows nothing unfinished', async () => {
    const out = trainings.at('store');
    const fill = async (folder: string) => writeFileSync(join(folder, 'x'), 'x');
    const first = await Store.create(out);
    for (const step of [1, 2, 3]) await first.save(step, fill);
    const store = await Store.reopen(out, join(out, 'step-3'));
    for (const step of [4, 5, 6]) await store.save(step, fill);
    await expect(store.save(7, () => Promise.reject(new Error('full')))).rejects.toThrow('full');
    expect(readdirSync(out).sort()).toEqual(['latest', 'step-3', 'step-5', 'step-6']);
    expect(readFileSync(join(out, 'latest'), 'utf8')).toBe('step-6\n');
    expect(await findCheckpoint(join(out, 'step-5'))).toMatchObject({ training: out, newest: false });
    await expect(Store.create(out)).rejects.toThrow(/not empty/);
    await expect(findCheckpoint(trainings.at('nowhere'))).rejects.toThrow(/no such folder to resume/);
  });

  it('is free again after a training that took no step, and keeps everything else', async () => {
    const begin = async (name: string, history: readonly Row[] = []) => {
      const store = await Store.create(trainings.at(name));
      const log = await RunLog.open(store.folder, history);
      await log.event('start', {});
      return { store, log };
    };
    const row: Row = [1, 0.1, Number.NaN];
    const empty = await begin('no-step');
    await empty.store.abandon(0);
    expect(existsSync(empty.store.folder)).toBe(false);
    const resumed = await begin('no-step', [row]);
    await resumed.store.abandon(1);
    expect(existsSync(resumed.store.folder)).toBe(false);
    const stepped = await begin('one-step');
    await stepped.log.loss(1, row);
    await stepped.store.abandon(0);
    expect(readdirSync(stepped.store.folder).sort()).toEqual(['log.jsonl', 'losses.csv']);
    const other = await begin('other');
    writeFileSync(join(other.store.folder, 'notes'), 'x');
    await other.store.abandon(0);
    expect(readdirSync(other.store.folder)).toEqual(['notes']);
    const saved = await begin('saved');
    await saved.store.save(1, async (folder) => writeFileSync(join(folder, 'x'), 'x'));
    await saved.store.abandon(0);
    expect(readdirSync(saved.store.folder)).toHaveLength(4);
  });
});

it('needs a scope, targets and micro-batches that the model has', async () => {
  const made = (more: Parameters<typeof settings>[0]) => setUp(EDGE.def, settings(more), 0);
  await expect(made({ scope: 'decoder' })).rejects.toThrow(/no scope 'decoder'/);
  await expect(made({ lora: { ...LORA, targets: ['haed'] } })).rejects.toThrow(/'haed' fits no module/);
  await expect(made({ microBatches: 3 })).rejects.toThrow(/4 samples do not fall into 3/);
});

function edited(change: object): (folder: string) => void {
  return (folder) => {
    const path = join(folder, 'trainer.json');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }));
  };
}

function without(name: string): (folder: string) => Promise<void> {
  return async (folder) => {
    const path = join(folder, 'optimiser.safetensors');
    const { [name]: _, ...rest } = await readSafetensors(path);
    await writeSafetensors(path, rest);
  };
}

/** A tensor of five numbers under a name. */
function moment(name: string): (folder: string) => Promise<void> {
  return async (folder) => {
    const path = join(folder, 'optimiser.safetensors');
    await writeSafetensors(path, { ...(await readSafetensors(path)), [name]: float32([5], [1, 2, 3, 4, 5]) });
  };
}
