import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { type Tensors, toNumbers } from '../../src/core/tensor.ts';
import type { Workload } from '../../src/core/workload.ts';
import { pretrained } from '../../src/pretrained/index.ts';
import { onnx, prepareArtifacts } from '../../src/weights/index.ts';
import { classify } from '../../src/workloads/classify.ts';
import { generate } from '../../src/workloads/generate.ts';
import { imagePrompt } from '../../src/workloads/image-prompt.ts';
import { zeroShot } from '../../src/workloads/zero-shot.ts';
import { model } from '../../src/zoo/index.ts';
import { cleanUp, openActivity } from '../workloads/harness.ts';
import { encoderLike, exportLikeHub, mergedLike } from './hub-layout.ts';

const root = mkdtempSync(join(tmpdir(), 'versus-onnx-'));
const at = (name: string): string => join(root, name);
afterAll(() => {
  rmSync(root, { recursive: true });
  cleanUp();
});

beforeAll(async () => {
  await exportLikeHub(model('vit-tiny'), at('vit'), { model: { file: 'model' } });
  await exportLikeHub(model('clip-tiny'), at('clip'), {
    vision: { file: 'vision_model', change: encoderLike('pooler_output') },
    text: { file: 'text_model_fp16', change: encoderLike('text_embeds') },
  });
  const context = { model_type: 'clip', text_config: { max_position_embeddings: 32 } };
  writeFileSync(join(at('clip'), 'config.json'), JSON.stringify(context));
  await exportLikeHub(model('qwen2-tiny'), at('qwen2'), { model: { file: 'model_q4', external: true } });
  await exportLikeHub(model('llava-tiny'), at('llava'), {
    vision: { file: 'vision_encoder' },
    embed: { file: 'embed_tokens' },
    decoder: { file: 'decoder_model_merged', change: mergedLike, external: true },
  });
});

const CASES: readonly [string, Workload<never>, unknown, Parameters<typeof onnx>[1]][] = [
  ['vit', classify, {}, {}],
  ['clip', zeroShot, { classes: ['cat', 'dog'] }, { variant: { text: 'fp16' } }],
  ['qwen2', generate, { promptTokens: 5, newTokens: 3 }, { variant: 'q4' }],
  ['llava', imagePrompt, { promptTokens: 5, newTokens: 3 }, {}],
];

async function outputsOf(def: ModelDef, workload: Workload<never>, params: unknown): Promise<Tensors> {
  const activity = await openActivity({ model: def, workload, params: params as never, batch: 1 });
  try {
    return await activity.outputs();
  } finally {
    await activity.close();
  }
}

const failure = async (body: Promise<unknown>): Promise<VersusError> => {
  const error = await body.catch((e: unknown) => e);
  expect(error).toBeInstanceOf(VersusError);
  return error as VersusError;
};
const prepare = (def: ModelDef) =>
  prepareArtifacts(def, { cacheDir: at('cache'), maxBytes: 1e9, precision: 'fp32' });

describe('a folder in the layout of the hub', () => {
  it.each(CASES)('%s gives what the zoo’s own graphs give', async (name, workload, params, options) => {
    const own = model(`${name}-tiny`);
    const expected = await outputsOf(own, workload, params);
    const within = (outputs: Tensors) => {
      expect(Object.keys(outputs).sort()).toEqual(Object.keys(expected).sort());
      for (const [key, t] of Object.entries(expected)) {
        const theirs = toNumbers(outputs[key]!);
        const scale = Math.max(1, ...toNumbers(t).map(Math.abs));
        const worst = Math.max(...toNumbers(t).map((v, i) => Math.abs(v - theirs[i]!)));
        expect(worst / scale, key).toBeLessThan(1e-5);
      }
    };
    within(await outputsOf({ ...own, weights: onnx(at(name), options) }, workload, params));
    const whole = await pretrained(at(name), options);
    expect(whole).toMatchObject({ name, task: own.task });
    // Only the config of a real folder would tell how large images are.
    within(
      await outputsOf({ ...whole, ...(own.preprocess && { preprocess: own.preprocess }) }, workload, params),
    );
  });

  it('labels its weights, and knows them by content', async () => {
    const def = { ...model('vit-tiny'), weights: onnx(at('vit')) };
    const { model: artifact } = await prepare(def);
    const source = await artifact!.weights();
    expect(source).toMatchObject({ label: `onnx(${at('vit')})`, trained: true });
    await source.close();
    cpSync(at('vit'), at('copy'), { recursive: true });
    const { model: copy } = await prepare({ ...def, weights: onnx(at('copy')) });
    expect(copy!.sha256).toBe(artifact!.sha256);
  });

  it('takes config, processor, classes and tokenizer of a whole model', async () => {
    cpSync(at('vit'), at('full'), { recursive: true });
    const write = (file: string, json: unknown) =>
      writeFileSync(join(at('full'), file), JSON.stringify(json));
    write('config.json', { model_type: 'vit', id2label: { 1: 'dog', 0: 'cat' } });
    write('preprocessor_config.json', { image_processor_type: 'ViTImageProcessor', size: 32 });
    write('tokenizer.json', {});
    expect(await pretrained(at('full'), { name: 'mine' })).toMatchObject({
      ...{ name: 'mine', family: 'vit', task: 'classify', classes: ['cat', 'dog'] },
      preprocess: { resize: { height: 32, width: 32 } },
      tokenizer: join(at('full'), 'tokenizer.json'),
    });
  });

  it('is refused by the value that differs when it is another model’s', async () => {
    const other = { ...model('clip-tiny'), weights: onnx(at('llava')) };
    expect((await failure(prepare(other))).message).toMatch(
      /lacks the ONNX file of text \(text_model.onnx\)/,
    );
    const deeper = model('qwen2-tiny');
    const config = { ...(deeper.config as Record<string, unknown>), depth: 3, kvHeads: 4 };
    const error = await failure(
      prepare({ ...deeper, config, weights: onnx(at('qwen2'), { variant: 'q4' }) }),
    );
    expect(error.message).toContain('past_key_values.2.key: the file has none');
    expect(error.message).toMatch(
      /past_key_values.0.key: the model has \[batch,4,.*\], the file \[batch_size,2,/,
    );
  });

  it('says which files there are when a type of weights is missing, and which types there can be', async () => {
    const q8 = await failure(prepare({ ...model('vit-tiny'), weights: onnx(at('vit'), { variant: 'q8' }) }));
    expect(q8.message).toContain('model_quantized.onnx');
    expect(q8.next).toContain('model.onnx');
    expect(() => onnx(at('vit'), { variant: 'q3' as never })).toThrow(/no variant "q3"/);
    mkdirSync(at('empty'));
    expect((await failure(pretrained(at('empty')))).message).toMatch(/no ONNX files/);
    expect((await failure(pretrained(at('nowhere')))).message).toMatch(/no such folder/);
  });

  it('does not follow links out of the folder, except into the blobs of a Hugging Face cache', async () => {
    const file = join(at('vit'), 'onnx/model.onnx');
    mkdirSync(join(at('linked'), 'onnx'), { recursive: true });
    symlinkSync(file, join(at('linked'), 'onnx/model.onnx'));
    expect((await failure(pretrained(at('linked')))).message).toMatch(
      /"onnx\/model.onnx" is a link that leads out/,
    );
    const snapshot = join(at('hf'), 'models--a--b/snapshots/c0ffee/onnx');
    const blobs = join(at('hf'), 'models--a--b/blobs');
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(blobs);
    cpSync(file, join(blobs, 'aa'));
    symlinkSync('../../../blobs/aa', join(snapshot, 'model.onnx'));
    expect(await pretrained(join(snapshot, '..'))).toMatchObject({ task: 'classify' });
  });

  it('has no weights by name', async () => {
    expect((await failure(onnx(at('vit')).open([]))).message).toMatch(/run as they are/);
  });
});
