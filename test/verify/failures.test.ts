import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import { VersusError } from '../../src/core/errors.ts';
import { float32, type Tensor, type Tensors, tensor, toNumbers } from '../../src/core/tensor.ts';
import { verifyFolder } from '../../src/verify/index.ts';
import { readSafetensors, writeSafetensors } from '../../src/weights/index.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');

describe('verifying a folder that is not right', () => {
  let root: string;
  let dir: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'versus-verify-'));
    dir = join(root, 'model');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const take = (name: string) => cpSync(join(FIXTURES, name), dir, { recursive: true });
  const verify = () => verifyFolder(dir, reference, { cacheDir: join(root, 'cache'), maxBytes: 1e9 });
  const failure = async (): Promise<VersusError> => {
    const error = await verify().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(VersusError);
    return error as VersusError;
  };
  const rewrite = async (file: string, change: (tensors: Tensors) => void) => {
    const tensors = await readSafetensors(join(dir, file));
    change(tensors);
    await writeSafetensors(join(dir, file), tensors);
  };

  it('says which outputs differ when one weight is off, and not the others', async () => {
    take('hf-clip');
    await rewrite('weights.safetensors', (t) => {
      (t['visual_projection.weight']!.data as Float32Array)[0]! += 0.5;
    });
    const result = await verify();
    expect(result.agrees).toBe(false);
    const wrong = result.outputs.filter((o) => !o.agrees).map((o) => o.name);
    expect(wrong).toContain('image_features');
    expect(wrong).not.toContain('text_features');
    expect(wrong).not.toContain('vision_last_hidden_state');
  });

  it('calls an output that it cannot compute a disagreement', async () => {
    take('hf-vit');
    await rewrite('io.safetensors', (t) => {
      t['output.attentions'] = float32([1], [0]);
    });
    const result = await verify();
    expect(result.agrees).toBe(false);
    expect(result.outputs.filter((o) => !o.agrees).map((o) => [o.name, o.problem])).toEqual([
      ['attentions', 'not computed'],
    ]);
  });

  it('wants ids to be equal', async () => {
    take('hf-qwen2');
    await rewrite('io.safetensors', (t) => {
      const ids = t['output.greedy_ids']!.data as BigInt64Array;
      ids[ids.length - 1] = ((ids.at(-1) ?? 0n) + 1n) % 128n;
    });
    const result = await verify();
    expect(result.outputs.filter((o) => !o.agrees).map((o) => o.name)).toEqual(['greedy_ids']);
  });

  it('compares the prompt with one token per image too', async () => {
    take('hf-llava');
    const names = (await verify()).outputs.map((o) => o.name);
    expect(names).toContain('logits (input_ids_unexpanded)');
  });

  it('says when image tokens and features do not match', async () => {
    take('hf-llava');
    await rewrite('io.safetensors', (t) => {
      const ids = t['input.input_ids']!.data as BigInt64Array;
      ids[ids.indexOf(120n)] = 3n;
    });
    expect((await failure()).message).toMatch(/15 image tokens for 16 features/);
  });

  it('refuses a recorded training run without gradients by name of what it holds', async () => {
    take('train-qwen2-tied');
    await rewrite('io.safetensors', (t) => {
      for (const name of Object.keys(t)) if (name.startsWith('grad.')) delete t[name];
    });
    const error = await failure();
    expect(error.kind).toBe('input');
    expect(error.where).toMatch(/tensor final\./);
  });

  it('an empty folder: says what is missing', async () => {
    mkdirSync(dir);
    expect((await failure()).describe()).toMatch(/io\.safetensors/);
  });

  it.each([
    ['weights.safetensors', null, /model\.onnx/],
    ['config.json', null, /config\.json/],
    ['config.json', '{"a":', /config\.json/],
    ['config.json', '[]', /JSON object/],
  ])('%s replaced by %j: says so', async (file, content, about) => {
    take('hf-vit');
    if (content === null) rmSync(join(dir, file));
    else writeFileSync(join(dir, file), content);
    expect((await failure()).describe()).toMatch(about);
  });

  it.each([
    'model.safetensors',
    'model.safetensors.index.json',
  ])('takes the weights as the hub has them: %s', async (name) => {
    take('hf-vit');
    const shard = name.endsWith('.json') ? 'model-00001-of-00001.safetensors' : name;
    renameSync(join(dir, 'weights.safetensors'), join(dir, shard));
    if (shard !== name) {
      const names = Object.keys(await readSafetensors(join(dir, shard)));
      const map = Object.fromEntries(names.map((n) => [n, shard]));
      writeFileSync(join(dir, name), JSON.stringify({ weight_map: map }));
    }
    expect((await verify()).agrees).toBe(true);
  });

  it("names the tensor when the checkpoint is another model's", async () => {
    take('hf-vit');
    cpSync(join(FIXTURES, 'hf-qwen2', 'weights.safetensors'), join(dir, 'weights.safetensors'));
    expect((await failure()).describe()).toMatch(/vit\.embeddings|classifier/);
  });

  it('names the input that a recording lacks', async () => {
    take('hf-resnet');
    await rewrite('io.safetensors', (t) => {
      t['input.images'] = t['input.pixel_values']!;
      delete t['input.pixel_values'];
    });
    expect((await failure()).message).toMatch(/input\.pixel_values/);
  });

  it('a folder without a recording: says what to record', async () => {
    take('hf-vit');
    rmSync(join(dir, 'io.safetensors'));
    expect(await failure()).toMatchObject({ kind: 'usage', next: expect.stringContaining('output.*') });
  });

  it('an output without elements shows nothing', async () => {
    take('hf-vit');
    await rewrite('io.safetensors', (t) => {
      t['output.logits'] = float32([0, 10], []);
    });
    expect((await failure()).message).toMatch(/output\.logits has no elements/);
  });
});

describe('verifying recordings of other kinds', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'versus-recorded-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** The verdict on a fixture whose recording was changed. */
  const verdict = async (fixture: string, change: (tensors: Tensors) => void) => {
    cpSync(join(FIXTURES, fixture), dir, { recursive: true });
    const tensors = await readSafetensors(join(dir, 'io.safetensors'));
    change(tensors);
    await writeSafetensors(join(dir, 'io.safetensors'), tensors);
    const options = { cacheDir: join(dir, 'cache'), maxBytes: 1e9 };
    return Object.fromEntries(
      (await verifyFolder(dir, reference, options)).outputs.map((o) => [o.name, o.agrees]),
    );
  };
  const keep = (tensors: Tensors, names: RegExp) => {
    for (const name of Object.keys(tensors)) if (!names.test(name)) delete tensors[name];
  };

  it('takes images in other widths of number', async () => {
    const outputs = await verdict('hf-vit', (t) => {
      const image = t['input.pixel_values']!;
      t['input.pixel_values'] = tensor('float64', image.shape, Float64Array.from(toNumbers(image)));
    });
    expect(outputs).toEqual({ last_hidden_state: true, logits: true });
  });

  it('looks only at what the mask shows', async () => {
    const shift = (at: 0 | 1) => (t: Tensors) => {
      keep(t, /padded_/);
      const logits = t['output.padded_logits']!;
      const width = logits.shape[2]!;
      Array.from(t['input.padded_attention_mask']!.data, Number).forEach((m, place) => {
        if (m === at) (logits.data as Float32Array)[place * width]! += 1;
      });
    };
    expect(await verdict('hf-qwen2', shift(0))).toEqual({ padded_logits: true });
    expect(await verdict('hf-qwen2', shift(1))).toEqual({ padded_logits: false });
  });

  it('finds where the prompt was split by the decoded part alone', async () => {
    const outputs = await verdict('hf-qwen2', (t) => keep(t, /^input\.input_ids|decode_logits/));
    expect(outputs).toEqual({ decode_logits: true });
  });

  it('left padding and a mask give the same tokens as the prompt alone', async () => {
    const outputs = await verdict('hf-qwen2', (t) => {
      keep(t, /^input\.input_ids|greedy_ids/);
      const pad = (ids: Tensor, id: bigint) =>
        tensor('int64', [1, ids.shape[1]! + 2], BigInt64Array.of(id, id, ...(ids.data as BigInt64Array)));
      const ones = new BigInt64Array(t['input.input_ids']!.data.length).fill(1n);
      t['input.attention_mask'] = pad(tensor('int64', [1, ones.length], ones), 0n);
      t['input.input_ids'] = pad(t['input.input_ids']!, 7n);
      t['output.greedy_ids'] = pad(t['output.greedy_ids']!, 7n);
    });
    expect(outputs).toEqual({ greedy_ids: true });
  });
});
