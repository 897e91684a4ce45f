import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tensor } from '../../src/core/tensor.ts';
import { readSafetensors, writeSafetensors } from '../../src/weights/index.ts';
import { model } from '../../src/zoo/index.ts';
import { encoderLike, exportLikeHub, mergedLike } from '../weights/hub-layout.ts';
import { type Ran, versus, versusEach, workspace } from './versus.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const FIXTURES = join(ROOT, 'test/fixtures');

/** No folder, file or lock of a build that failed. */
const leftIn = (cache: string): string[] =>
  existsSync(cache) ? readdirSync(cache).filter((name) => name !== 'hashes') : [];
const refused = (ran: Ran, code: number, about: RegExp): void => {
  expect(ran.stderr).toMatch(about);
  expect(ran.stderr).not.toMatch(/\n\s+at .*\.(ts|mjs|js):\d+/);
  expect(ran.code).toBe(code);
};

describe('checkpoints that do not fit, on the command line', () => {
  const place = workspace();
  const cache = join(place.dir, '.cache');
  const out = join(place.dir, 'out');
  const llama = (name: string): string => {
    cpSync(join(FIXTURES, 'hf-llama'), join(place.dir, name), { recursive: true });
    return join(place.dir, name);
  };
  let [tensors, heads, architecture, index, source]: Ran[] = [];
  beforeAll(async () => {
    const [changed, odd, whole, promised] = ['changed', 'odd', 'whole', 'promised'].map(llama) as [
      ...[string, string, string, string],
    ];
    const file = join(changed, 'weights.safetensors');
    const t = await readSafetensors(file);
    delete t['model.layers.0.mlp.up_proj.weight'];
    const norm = t['model.norm.weight']!;
    t['model.norm.weight'] = tensor(norm.dtype, [1, norm.shape[0]!], norm.data);
    t['model.extra.weight'] = norm;
    await writeSafetensors(file, t);
    const config = JSON.parse(readFileSync(join(odd, 'config.json'), 'utf8')) as Record<string, unknown>;
    delete config.head_dim;
    writeFileSync(join(odd, 'config.json'), JSON.stringify({ ...config, num_attention_heads: 7 }));
    const map = { weight_map: { nowhere: 'weights.safetensors' } };
    writeFileSync(join(promised, 'model.safetensors.index.json'), JSON.stringify(map));
    [tensors, heads, architecture, index, source] = await versusEach(place.dir, [
      ['verify', changed],
      ['verify', odd],
      ['export', 'vit-tiny', '--weights', `safetensors:${join(whole, 'weights.safetensors')}`, '--out', out],
      ['export', 'qwen2-tiny', '--weights', promised, '--out', out],
      ['export', 'qwen2-tiny', '--weights', 'hub:owner/name', '--out', out],
    ]);
  }, 120_000);
  afterAll(() => place.remove());

  it('one missing tensor, one of another shape, one too many: each by name', () => {
    refused(tensors!, 3, /1 missing \(model.layers.0.mlp.up_proj.weight/);
    expect(tensors!.stderr).toMatch(/1 unexpected \(model.extra.weight/);
    expect(tensors!.stderr).toMatch(/model.norm.weight: the model has \[\d+\], the file \[1,\d+\]/);
  });

  it('heads that don’t divide the width', () => refused(heads!, 3, /num_(attention|key_value)_heads/));

  it('a checkpoint of another architecture, exported', () =>
    refused(architecture!, 3, /doesn't fit the model's \d+ tensors: \d+ missing \(vit\.embeddings/));

  it('an index that promises what isn’t there', () => refused(index!, 3, /lacks tensor "nowhere"/));

  it('what cannot be read as a source', () => refused(source!, 2, /cannot tell what 'hub:owner\/name' is/));

  it('nothing of them is written', () => {
    expect(existsSync(out)).toBe(false);
    expect(leftIn(cache)).toEqual([]);
  });

  it('exports a checkpoint that fits', async () => {
    const own = join(place.dir, 'own');
    expect((await versus(place.dir, ['export', 'qwen2-tiny', '--out', own])).code).toBe(0);
    const weights = await readSafetensors(join(own, 'weights.safetensors'));
    const [name] = Object.keys(weights);
    (weights[name!]!.data as Float32Array)[0] = 42;
    const file = join(place.dir, 'mine.safetensors');
    await writeSafetensors(file, weights);
    const ran = await versus(place.dir, ['export', 'qwen2-tiny', '--weights', file, '--out', out, '--json']);
    expect(ran.stderr).toBe('');
    expect(
      (JSON.parse(ran.stdout) as { files: string[] }).files.map((f) => f.slice(out.length + 1)).sort(),
    ).toEqual(['model.onnx', 'weights.safetensors']);
    const written = await readSafetensors(join(out, 'weights.safetensors'));
    expect((written[name!]!.data as Float32Array)[0]).toBe(42);
  });
});

const CONFIG = `
import { onnxruntime } from '${ROOT}/src/backends/onnxruntime/index.ts';
import { defineConfig } from '${ROOT}/src/index.ts';
import { pretrained } from '${ROOT}/src/pretrained/index.ts';
import { onnx, safetensors } from '${ROOT}/src/weights/index.ts';
import { classify } from '${ROOT}/src/workloads/classify.ts';
import { generate } from '${ROOT}/src/workloads/generate.ts';
import { imagePrompt } from '${ROOT}/src/workloads/image-prompt.ts';
import { zeroShot } from '${ROOT}/src/workloads/zero-shot.ts';
import { model } from '${ROOT}/src/zoo/index.ts';

const arm = (name, model) => ({ name, model, tier: 'smoke' });
const use = (workload, params, arms) => ({ workload, params, arms, batches: [{ size: 1 }] });
export default defineConfig({
  suites: [{
    name: 'mine', question: 'Do exported files run?', headline: ['latency'],
    arms: [
      arm('vit', await pretrained('vit')),
      arm('clip', { ...model('clip-tiny'), weights: onnx('clip') }),
      arm('qwen2', { ...model('qwen2-tiny'), name: 'mine', weights: onnx('qwen2', { variant: 'q4' }) }),
      arm('llava', { ...model('llava-tiny'), weights: onnx('llava') }),
      arm('wrong', { ...model('vit-tiny'), weights: safetensors('wrong.safetensors') }),
    ],
    uses: [
      use(classify, {}, ['vit', 'wrong']),
      use(zeroShot, { classes: ['cat', 'dog'] }, ['clip']),
      use(generate, { promptTokens: 4, newTokens: 2 }, ['qwen2']),
      use(imagePrompt, { promptTokens: 4, newTokens: 2 }, ['llava']),
    ],
  }],
  backends: [onnxruntime('cpu', { session: { threads: 1 } })],
  profiles: { smoke: { tier: 'smoke', rounds: 1, memoryRounds: 0, minTimeMs: 1, minRepetitions: 1, warmupRepetitions: 0, timeoutMs: 60000 } },
});
`;

describe('versus run on exported folders', () => {
  const place = workspace();
  afterAll(() => place.remove());
  beforeAll(async () => {
    writeFileSync(join(place.dir, 'bench.config.ts'), CONFIG);
    const at = (name: string) => join(place.dir, name);
    await exportLikeHub(model('vit-tiny'), at('vit'), { model: { file: 'model' } });
    const { image } = model('vit-tiny').config as { image: number[] };
    mkdirSync(at('vit'), { recursive: true });
    const processor = {
      image_processor_type: 'ViTImageProcessor',
      size: { height: image[0], width: image[1] },
    };
    writeFileSync(join(at('vit'), 'preprocessor_config.json'), JSON.stringify(processor));
    await exportLikeHub(model('clip-tiny'), at('clip'), {
      vision: { file: 'vision_model', change: encoderLike('image_embeds') },
      text: { file: 'text_model', change: encoderLike('text_embeds') },
    });
    await exportLikeHub(model('qwen2-tiny'), at('qwen2'), { model: { file: 'model_q4', external: true } });
    await exportLikeHub(model('llava-tiny'), at('llava'), {
      vision: { file: 'vision_encoder' },
      embed: { file: 'embed_tokens' },
      decoder: { file: 'decoder_model_merged', change: mergedLike },
    });
    cpSync(join(FIXTURES, 'hf-llama/weights.safetensors'), at('wrong.safetensors'));
  });

  it('measures all four workloads, and blames a wrong checkpoint by its tensors', async () => {
    const ran = await versus(place.dir, ['run', '--profile', 'smoke', '--json']);
    const { records } = JSON.parse(ran.stdout) as { records: string };
    const lines = readFileSync(records, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    const cases = lines.filter((line) => line.type === 'case' && line.pass === 'check');
    const about = Object.fromEntries(cases.map((line) => [line.arm, line.status]));
    expect(about).toMatchObject({ vit: 'ok', clip: 'ok', qwen2: 'ok', llava: 'ok' });
    const wrong = lines.filter((line) => line.arm === 'wrong' && line.status !== 'ok');
    expect(JSON.stringify(wrong)).toMatch(
      /doesn't fit the model's \d+ tensors: \d+ missing \(vit\.embeddings/,
    );
    expect(ran.code).toBe(3);
    expect(ran.stderr).not.toMatch(/\n\s+at .*\.ts:\d+/);
  }, 120_000);
});
