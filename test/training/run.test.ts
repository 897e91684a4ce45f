import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { byteTokenizer } from '../../src/data/tokenizer.ts';
import { withAllLogits } from '../../src/estimate/resize.ts';
import { readCheckpoint } from '../../src/training/checkpoint.ts';
import type { Example } from '../../src/training/examples.ts';
import { requireSame } from '../../src/training/resume.ts';
import { type RunOptions, type TrainingData, train } from '../../src/training/run.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';
import { setUp } from '../../src/training/setup.ts';
import { findCheckpoint, Store } from '../../src/training/store.ts';
import { prepareArtifacts, safetensors, seeded } from '../../src/weights/index.ts';
import { model } from '../../src/zoo/index.ts';
import { flats } from '../plugin/dataset.ts';

const backend = onnxruntime('cpu');
let dir: string;
let images: readonly Example[];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'versus-training-'));
  const samples = await (await flats.prepare(dir)).samples('test');
  images = samples.map((sample) => ({ sample, label: sample.label! }));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const TEXTS: readonly Example[] = ['red', 'green', 'blue', 'grey', 'black', 'white'].map((colour) => ({
  text: `The sky is ${colour}.`,
}));

const settings = (more: Partial<TrainingSettings> = {}): TrainingSettings => ({
  ...{ scope: 'full', lora: null, qlora: false, clipNorm: 1, batch: 4, microBatches: 1, sizes: {}, seed: 3 },
  optimiser: { kind: 'adamw', betas: [0.9, 0.999], weightDecay: 0.01 },
  schedule: { kind: 'cosine', rate: 1e-3, warmup: 1, steps: 6 },
  ...more,
});
const LORA = { r: 4, alpha: 8, targets: ['q_proj', 'v_proj'], dropout: 0.1 };
const TEXT = { sizes: { sequence: 20 }, batch: 2 };

interface Case {
  readonly def: ModelDef;
  readonly settings: TrainingSettings;
}

function dataOf({ def }: Case): TrainingData {
  const reads = def.task === 'generate';
  const training = reads ? TEXTS : images;
  return {
    about: { name: reads ? 'texts' : 'flats', sha256: 'x', examples: training.length, heldOut: 4 },
    ...{ training, heldOut: training.slice(0, 4) },
    reading: reads ? { tokenizer: byteTokenizer(512) } : {},
  };
}

async function run(one: Case, out: string, options: Partial<RunOptions> & { resume?: string } = {}) {
  const { resume, ...more } = options;
  const setup = await setUp(one.def, one.settings, 4);
  const data = dataOf(one);
  const saved =
    resume === undefined ? undefined : await readCheckpoint((await findCheckpoint(resume)).checkpoint);
  if (saved) requireSame(saved, setup, data.about);
  const store = resume === out ? await Store.reopen(out) : await Store.create(out);
  return train(
    setup,
    data,
    {
      ...{
        backend,
        open: { precision: 'fp32', threads: 1 },
        cacheDir: join(dir, 'cache'),
        maxBytes: 1e9,
        store,
      },
      ...{ evalEvery: 3, evalSamples: 4, saveEvery: 3, ...more },
    },
    saved,
  );
}

const CASES: Record<string, Case> = {
  'statistics of batches, momentum': {
    def: model('resnet-tiny'),
    settings: settings({ optimiser: { kind: 'sgd', momentum: 0.9, weightDecay: 0 }, clipNorm: null }),
  },
  'micro-batches of a transformer': { def: model('vit-tiny'), settings: settings({ microBatches: 2 }) },
  'adapters with dropout': {
    def: withAllLogits(model('llama-tiny')),
    settings: settings({ ...TEXT, lora: LORA }),
  },
  'adapters beside 4 bits, of a scope': {
    def: withAllLogits(model('llama-tiny')),
    settings: settings({
      ...TEXT,
      scope: 'decoder',
      qlora: true,
      lora: { ...LORA, dropout: 0, targets: 'all-linear' } as never,
    }),
  },
};

const bytesIn = async (folder: string): Promise<Record<string, string>> => {
  const names = (await readdir(folder)).filter((name) => name !== 'trainer.json');
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name)).toString('base64')]));
};

describe('a training', () => {
  it.each(Object.entries(CASES))('goes on where it stopped, to the bit: %s', async (name, one) => {
    const at = (part: string): string => join(dir, `${name} ${part}`);
    const whole = await run(one, at('whole'));
    expect(whole.losses).toHaveLength(6);
    const controller = new AbortController();
    const half = await run(one, at('half'), {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'step' && event.step === 3) controller.abort();
      },
    });
    expect(half).toMatchObject({ steps: 3, stopped: true });
    const rest = await run(one, at('half'), { resume: at('half') });
    expect(rest).toMatchObject({
      steps: 6,
      stopped: false,
      losses: whole.losses,
      evaluations: whole.evaluations,
    });
    const [a, b] = await Promise.all([bytesIn(whole.checkpoint), bytesIn(rest.checkpoint)]);
    expect(Object.keys(a)).toEqual(Object.keys(b));
    for (const file of Object.keys(a)) expect(a[file] === b[file], file).toBe(true);
    const csv = (part: string): string => readFileSync(join(at(part), 'losses.csv'), 'utf8');
    expect(csv('half')).toBe(csv('whole'));
    expect(csv('whole').trim().split('\n')).toHaveLength(7);
  });
});
