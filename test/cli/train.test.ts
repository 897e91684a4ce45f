import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainedShortage, requireMemory } from '../../src/commands/train-memory.ts';
import { settingsOf } from '../../src/commands/train-settings.ts';
import { VersusError } from '../../src/core/errors.ts';
import { withAllLogits } from '../../src/estimate/resize.ts';
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
beforeAll(() => writeFileSync(at('train.config.ts'), CONFIG));

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
  [['vit-tiny', '--precision', 'fp16'], /training in fp16: it computes in fp32/],
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
  [['qwen2-72b'], /a step is predicted to take [\d.]+ TiB of memory, and [\d.]+ [GM]iB are free[\s\S]*next:/],
] as const satisfies readonly (readonly [readonly string[], RegExp])[];
const QUICK = ['--steps', '4', '--batch', '4', '--save-every', '2', '--eval-samples', '8'];

describe('versus train', () => {
  it('trains a classifier, tells how it went, and goes on from a checkpoint to the same bytes', async () => {
    const ran = await versus(place.dir, train('resnet-tiny', ...QUICK, '--out', 'whole'));
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toMatch(/^step 4\/4 {2}loss [\d.]+ {2}ETA 0 s$/m);
    expect(ran.stdout).toMatch(/^resnet-tiny: trained 4 steps, [\d.,]+ samples\/s$/m);
    expect(ran.stdout).toMatch(/held out +loss [\d.]+, right [\d.]+% → loss [\d.]+, right [\d.]+% \(n = 8\)/);
    const checkpoint = at('whole/step-4');
    expect(ran.stdout).toContain(`versus export resnet-tiny --weights ${checkpoint} --out DIR`);
    expect(readdirSync(at('whole')).sort()).toEqual([
      'latest',
      'log.jsonl',
      'losses.csv',
      'step-2',
      'step-4',
    ]);
    const lines = readFileSync(at('whole/log.jsonl'), 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).type)).toEqual([
      ...[
        'start',
        'evaluation',
        'step',
        'step',
        'checkpoint',
        'step',
        'step',
        'evaluation',
        'checkpoint',
        'end',
      ],
    ]);

    const [resumed, verified] = await versusEach(place.dir, [
      train('resnet-tiny', '--resume', 'whole/step-2', '--out', 'resumed', '--json'),
      ['verify', 'resnet-tiny', '--weights', checkpoint],
    ]);
    expect(resumed!.code, resumed!.stderr).toBe(0);
    expect(verified!.code, verified!.stderr).toBe(0);
    expect(JSON.parse(resumed!.stdout)).toMatchObject({ model: 'resnet-tiny', steps: 4, stopped: false });
    for (const file of ['losses.csv', 'step-4/model.safetensors', 'step-4/optimiser.safetensors']) {
      expect(readFileSync(at(`whole/${file}`)).equals(readFileSync(at(`resumed/${file}`))), file).toBe(true);
    }
  });

  it('trains adapters that PEFT reads and export merges', async () => {
    const lora = ['--lora', 'r=2,alpha=4,targets=q_proj+v_proj'];
    const [trained, exported] = await versusEach(place.dir, [
      train('llama-tiny', ...QUICK, ...lora, '--out', 'lora', '--json'),
      ['export', 'llama-tiny', '--adapter', 'lora/step-4', '--out', 'merged'],
    ]);
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
});

describe('versus train, asked for what cannot be', () => {
  let wrong: Ran[];
  beforeAll(async () => {
    wrong = await versusEach(
      place.dir,
      WRONG.map(([args]) => train(...args)),
    );
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
  const settings = settingsOf({ batch: '32' }, {});
  const vit = model('vit-b-16');

  it('is told before anything is loaded, with what would fit', async () => {
    const graphs = await vit.build(vit.config);
    await requireMemory(vit, graphs, settings, 64 * 2 ** 30);
    const error = await requireMemory(vit, graphs, settings, 3 * 2 ** 30).catch((e: VersusError) => e);
    expect(error).toMatchObject({ kind: 'usage', where: 'vit-b-16, batch 32' });
    expect((error as VersusError).message).toMatch(
      /predicted to take [\d.]+ GiB of memory, and 3.00 GiB are free/,
    );
    expect((error as VersusError).next).toMatch(
      /what would fit: --micro-batches \d+ \([\d.]+ GiB\), --batch \d+ \(/,
    );
    // Where the weights and their moments alone are too much, adapters are left.
    const less = await requireMemory(vit, graphs, settingsOf({ batch: '2' }, {}), 2 ** 30).catch((e) => e);
    expect(less.next).toMatch(/^what would fit: --lora r=8,alpha=16,targets=all-linear \(/);
  });

  it('is told when a runtime runs out of it', async () => {
    const llama = withAllLogits(model('llama-tiny'));
    const graphs = await llama.build(llama.config);
    const told = new VersusError('infrastructure', 'onnxruntime-cpu is out of memory', { next: 'go on' });
    const error = await explainedShortage(told, llama, graphs, settingsOf({}, { sequence: 64 }));
    expect(error).toMatchObject({ kind: 'infrastructure', message: told.message });
    expect((error as VersusError).where).toMatch(/a step is predicted to take [\d.]+ MiB/);
    expect((error as VersusError).next).toMatch(/what would fit: --micro-batches .*; go on$/);
    const other = new Error('something else');
    expect(await explainedShortage(other, llama, graphs, settings)).toBe(other);
  });
});
