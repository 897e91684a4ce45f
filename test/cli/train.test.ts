import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainedShortage, requireLasting, requireMemory } from '../../src/commands/train-memory.ts';
import { type SettingsOptions, settingsOf } from '../../src/commands/train-settings.ts';
import { VersusError } from '../../src/core/errors.ts';
import { withAllLogits } from '../../src/estimate/resize.ts';
import { quantity } from '../../src/report/format.ts';
import { trainingMemory } from '../../src/training/predict.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';
import { setUp } from '../../src/training/setup.ts';
import { model } from '../../src/zoo/index.ts';
import { type Ran, versus, versusEach, workspace } from './versus.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CONFIG = `import plain from './bench.config.ts';
import { shapes } from '${ROOT}/datasets/shapes/index.ts';
import { stories } from '${ROOT}/datasets/stories/index.ts';
const wide = { name: 'wide', description: 'labels that no model has', prepare: async (root) => {
  const all = await shapes({ size: 192 }).prepare(root);
  return { ...all, name: 'wide', samples: async (split) =>
    (await all.samples(split)).map((s, i) => (i === 3 ? { ...s, label: 90 } : s)) };
} };
export default { ...plain, datasets: [...plain.datasets, shapes({ size: 192 }), stories({ size: 1000 }), wide] };
`;

const place = workspace();
const at = (name: string): string => join(place.dir, name);
afterAll(() => place.remove());

const train = (...args: string[]): string[] => ['--config', 'train.config.ts', 'train', ...args];
const WRONG = [
  [['vit-tiny', '--scope', 'cross-modal'], /no scope 'cross-modal'[\s\S]*scopes of vit-tiny: vision, full/],
  [['vit-tiny', '--lora', 'targets=qeury'], /'qeury' fits no module[\s\S]*'query'/],
  [['vit-tiny', '--dataset', 'shape'], /unknown dataset 'shape'[\s\S]*'shapes'/],
  [['vit-tiny', '--dataset', 'wide'], /sample .* has label 90, and there are 8 classes[\s\S]*dataset wide/],
  [['edge-net-8', '--dataset', 'shapes'], /sample .* has label [4-7], and the model has 4 classes/],
  [['llama-tiny', '--sequence', '40'], /a prompt and its answer are \d+ tokens long[\s\S]*--sequence/],
  [['vit-tiny', '--optimiser', 'adam'], /unknown optimiser 'adam'[\s\S]*adamw/],
  [['vit-tiny', '--schedule', 'cosin'], /unknown schedule 'cosin'/],
  [['vit-tiny', '--precision', 'int8'], /training in int8: it computes in fp32 or fp16/],
  [['vit-tiny', '--batch', '500'], /a batch of 500, and there are \d+ examples[\s\S]*--batch can be/],
  [['vit-tiny', '--batch', '8', '--micro-batches', '3'], /8 samples do not fall into 3 micro-batches/],
  [['vit-tiny', '--lr', '0'], /--lr: expected a number above 0/],
  [['vit-tiny', '--lora', 'targets=query,dropout=1'], /--lora dropout: expected a number .* below 1/],
  [['vit-tiny', '--resume', 'nowhere'], /no such folder to resume from/],
  [['vit-tiny', '--resume', 'lora'], /of model llama-tiny, whose parameters are not those of vit-tiny/],
  [['llama-tiny', '--resume', 'lora', '--optimiser', 'sgd', '--steps', '9'], /optimiser was/],
  [['llama-tiny', '--resume', 'lora'], /it has taken 4 of 4 steps[\s\S]*--steps/],
  [['llama-tiny', '--resume', 'lora/step-2'], /not the newest checkpoint/],
  [['vit-tiny', '--out', 'lora'], /the folder is not empty[\s\S]*--resume/],
  [['vit-tiny', '--weights', 'ftp:x'], /--weights: cannot tell what/],
  [
    ['qwen2-72b'],
    /numbers alone take [\d.]+ GiB of memory, and [\d.]+ [GM]iB are free[\s\S]*next: no smaller/,
  ],
] as const satisfies readonly (readonly [readonly string[], RegExp])[];
const QUICK = ['--steps', '4', '--batch', '4', '--save-every', '2', '--eval-samples', '8'];

const LORA = ['--lora', 'r=2,alpha=4,targets=q_proj+v_proj'];

let whole: Ran;
let right: Ran[];
let failed: Ran;
let wrong: Ran[];
beforeAll(async () => {
  writeFileSync(at('broken.safetensors'), 'no weights');
  writeFileSync(at('train.config.ts'), CONFIG);
  whole = await versus(place.dir, train('resnet-tiny', ...QUICK, '--out', 'whole'));
  const ran = await versusEach(place.dir, [
    train('resnet-tiny', '--resume', 'whole/step-2', '--out', 'resumed', '--json'),
    ['verify', 'resnet-tiny', '--weights', 'whole/step-4'],
    train('llama-tiny', ...QUICK, ...LORA, '--out', 'lora', '--json'),
    ['export', 'llama-tiny', '--adapter', 'lora/step-4', '--out', 'merged'],
    train('vit-tiny', '--dataset', 'shapes', ...QUICK, '--weights', 'broken.safetensors', '--out', 'failed'),
    ...WRONG.map(([args]) => train(...args)),
  ]);
  right = ran.slice(0, 4);
  failed = ran[4]!;
  wrong = ran.slice(5);
});

describe('versus train', () => {
  it('trains a classifier and tells how it went', () => {
    expect(whole.code, whole.stderr).toBe(0);
    expect(whole.stderr).toMatch(/^step 4\/4 {2}loss [\d.]+ {2}ETA 0 s$/m);
    expect(whole.stdout).toMatch(/^resnet-tiny: trained 4 steps, [\d.,]+ samples\/s$/m);
    const quality = 'loss [\\d.]+, right [\\d.]+%';
    expect(whole.stdout).toMatch(new RegExp(`held out +${quality} → ${quality} \\(n = 8\\)`));
    expect(whole.stdout).toContain(`versus export resnet-tiny --weights ${at('whole/step-4')} --out DIR`);
    expect(readdirSync(at('whole')).sort().join(' ')).toBe('latest log.jsonl losses.csv step-2 step-4');
    const lines = readFileSync(at('whole/log.jsonl'), 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).type).join(' ')).toBe(
      'start evaluation step step checkpoint step step evaluation checkpoint end',
    );
  });

  it('goes on from a checkpoint to the same bytes', () => {
    const [resumed, verified] = right;
    expect(resumed!.code, resumed!.stderr).toBe(0);
    expect(verified!.code, verified!.stderr).toBe(0);
    expect(JSON.parse(resumed!.stdout)).toMatchObject({ model: 'resnet-tiny', steps: 4, stopped: false });
    for (const file of ['losses.csv', 'step-4/model.safetensors', 'step-4/optimiser.safetensors']) {
      expect(readFileSync(at(`whole/${file}`)).equals(readFileSync(at(`resumed/${file}`))), file).toBe(true);
    }
  });

  it('trains adapters that PEFT reads and export merges', () => {
    const [, , trained, exported] = right;
    expect(trained!.code, trained!.stderr).toBe(0);
    const { trainable, held_out, loss, dataset } = JSON.parse(trained!.stdout);
    // Two layers; q 64 → 64, v 64 → 32.
    expect(trainable).toBe(2 * 2 * (64 + 64 + 64 + 32));
    expect(dataset).toBe('stories');
    expect(held_out.after.n).toBe(8);
    expect(loss.first).toBeGreaterThan(0);
    const { r, target_modules } = JSON.parse(readFileSync(at('lora/step-4/adapter_config.json'), 'utf8'));
    expect({ r, target_modules }).toEqual({ r: 2, target_modules: ['q_proj', 'v_proj'] });
    expect(exported!.code, exported!.stderr).toBe(0);
    expect(exported!.stdout).toContain('model.onnx');
  });

  it('leaves no folder behind where it fails before its first step', () => {
    expect(failed.code).toBeGreaterThan(0);
    expect(failed.stderr).toContain('broken.safetensors');
    expect(existsSync(at('failed'))).toBe(false);
  });

  it.each(
    WRONG.map(([args, message], i) => [args, message, i] as const),
  )('answers %j with exit 2 and what was meant', (_, message, i) => {
    const { code, stdout, stderr } = wrong[i]!;
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });
});

describe('memory that is not there', () => {
  const MB = 2 ** 20;
  const target = { microsoft: true };
  const asking = (name: string, options: SettingsOptions, sizes: TrainingSettings['sizes'] = {}) => ({
    ...{ model: withAllLogits(model(name)), settings: settingsOf(options, sizes), target },
  });
  const failure = (checked: Promise<unknown>): Promise<VersusError> =>
    checked.then(
      () => Promise.reject(new Error('it was accepted')),
      (error) => error as VersusError,
    );

  it('is told before anything is loaded, in the numbers of the step, with what would fit', async () => {
    const vit = asking('vit-tiny', { batch: '32' });
    const { step } = await setUp(vit.model, vit.settings, 0, target);
    const need = trainingMemory(step).total;
    await requireMemory(vit, step, need);
    const error = await failure(requireMemory(vit, step, need / 2));
    expect(error).toMatchObject({ kind: 'usage', where: 'vit-tiny, batch 32' });
    const [asked, free] = [quantity(need, 'B'), quantity(need / 2, 'B')];
    expect(error.message).toBe(`a step is predicted to take ${asked} of memory, and ${free} are free`);
    expect(error.next).toMatch(/what would fit: --micro-batches \d+ \([\d.]+ MiB\), --batch \d+ \(/);
    // What is proposed is what training so would be predicted to take.
    const [, batch, bytes] = /--batch (\d+) \((.*?)\)/.exec(error.next!)!;
    const smaller = await setUp(vit.model, { ...vit.settings, batch: Number(batch) }, 0, target);
    expect(trainingMemory(smaller.step).total).toBeLessThanOrEqual(need / 2);
    expect(bytes).toBe(quantity(trainingMemory(smaller.step).total, 'B'));
  });

  it('is told before the step is built where no batch would help', async () => {
    const vit = asking('vit-tiny', { batch: '2' });
    await requireLasting(vit, 3 * MB);
    const error = await failure(requireLasting(vit, 2 * MB));
    expect(error.message).toMatch(/^weights and the optimiser's numbers alone take 2.4\d MiB of memory/);
    expect(error.next).toMatch(/^no smaller batch and no LoRA would fit/);
    const wide = await failure(requireLasting(asking('resnet-tiny', { batch: '2' }), 3 * MB));
    expect(wide.next).toMatch(/^what would fit: --lora r=8,alpha=16,targets=all-linear \(/);
  });

  it('is told when a runtime runs out of it', async () => {
    const llama = asking('llama-tiny', {}, { sequence: 64 });
    const { step } = await setUp(llama.model, llama.settings, 0, target);
    const told = new VersusError('infrastructure', 'onnxruntime-cpu is out of memory', { next: 'go on' });
    const error = await explainedShortage(told, llama, step);
    expect(error).toMatchObject({ kind: 'infrastructure', message: told.message });
    expect((error as VersusError).where).toContain(quantity(trainingMemory(step).total, 'B'));
    expect((error as VersusError).next).toMatch(/what would fit: --micro-batches .*; go on$/);
    const other = new Error('something else');
    expect(await explainedShortage(other, llama, step)).toBe(other);
  });
});
