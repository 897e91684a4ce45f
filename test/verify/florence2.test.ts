import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import type { Param } from '../../src/core/graph.ts';
import { type Tensors, tensor } from '../../src/core/tensor.ts';
import { verifyFolder } from '../../src/verify/index.ts';
import { readSafetensors, safetensors, writeSafetensors } from '../../src/weights/index.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');
const BIAS = 'language_model.final_logits_bias';
const TABLE = 'language_model.model.shared.weight';
/** What depends on the bias of the logits. */
const LOGITS = ['output.logits', 'output.decode_logits'];

describe('a Florence-2 checkpoint', () => {
  let root: string;
  let dir: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'versus-florence-'));
    dir = join(root, 'model');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const rewrite = async (file: string, change: (tensors: Tensors) => void) => {
    const tensors = await readSafetensors(join(dir, file));
    change(tensors);
    await writeSafetensors(join(dir, file), tensors);
  };
  const verify = () => verifyFolder(dir, reference, { cacheDir: join(root, 'cache'), maxBytes: 1e9 });
  const wrong = async () => (await verify()).outputs.filter((o) => !o.agrees).map((o) => o.name);
  /** The greedy answer is another one without the bias: only what was given ids remains. */
  const keepGiven = (t: Tensors) => {
    for (const name of Object.keys(t)) if (/greedy|decode_logits|\.decoder\./.test(name)) delete t[name];
  };

  it('without a bias of the logits gives the logits less the bias', async () => {
    cpSync(join(FIXTURES, 'hf-florence2'), dir, { recursive: true });
    const { [BIAS]: bias } = await readSafetensors(join(dir, 'weights.safetensors'));
    await rewrite('weights.safetensors', (t) => delete t[BIAS]);
    await rewrite('io.safetensors', (t) => {
      keepGiven(t);
      (t['output.logits']!.data as Float32Array).forEach((v, i, all) => {
        all[i] = v - Number(bias!.data[i % 96]);
      });
    });
    expect(await wrong()).toEqual([]);
  });

  it("of transformers uses a bias that it has, which transformers' own code lacks", async () => {
    cpSync(join(FIXTURES, 'hf-florence2-native'), dir, { recursive: true });
    const original = await readSafetensors(join(FIXTURES, 'hf-florence2', 'weights.safetensors'));
    await rewrite('weights.safetensors', (t) => {
      t.final_logits_bias = original[BIAS]!;
    });
    expect(await wrong()).toEqual(['logits']);
  });

  it('fits a model that has a bias of the logits, as zeros where the file has none', async () => {
    const bias = async (folder: string) => {
      const spec = safetensors(join(FIXTURES, folder, 'weights.safetensors'), { unexpected: 'ignore' });
      const param: Param = { name: BIAS, dtype: 'float32', shape: [1, 96], role: 'buffer' };
      const source = await spec.open([param]);
      const bytes: number[] = [];
      for await (const chunk of source.read(param)) bytes.push(...chunk);
      await source.close();
      return [...new Float32Array(Uint8Array.from(bytes).buffer)];
    };
    expect(await bias('hf-florence2-native')).toEqual(new Array(96).fill(0));
    const { [BIAS]: recorded } = await readSafetensors(join(FIXTURES, 'hf-florence2', 'weights.safetensors'));
    expect(await bias('hf-florence2')).toEqual([...(recorded!.data as Float32Array)]);
  });

  it('may hold the shared table under all of its names', async () => {
    cpSync(join(FIXTURES, 'hf-florence2'), dir, { recursive: true });
    await rewrite('weights.safetensors', (t) => {
      for (const name of ['model.encoder.embed_tokens', 'model.decoder.embed_tokens', 'lm_head']) {
        t[`language_model.${name}.weight`] = t[TABLE]!;
      }
    });
    expect(await wrong()).toEqual([]);
  });

  it.each(['lm_head', 'model.encoder.embed_tokens'])('or under %s alone', async (name) => {
    cpSync(join(FIXTURES, 'hf-florence2'), dir, { recursive: true });
    await rewrite('weights.safetensors', (t) => {
      t[`language_model.${name}.weight`] = t[TABLE]!;
      delete t[TABLE];
    });
    expect(await wrong()).toEqual([]);
  });

  it('with a second table of other numbers is refused by its name', async () => {
    cpSync(join(FIXTURES, 'hf-florence2'), dir, { recursive: true });
    await rewrite('weights.safetensors', (t) => {
      const { dtype, shape, data } = t[TABLE]!;
      t['language_model.lm_head.weight'] = tensor(
        dtype,
        shape,
        (data as Float32Array).map((v) => v + 1),
      );
    });
    await expect(verify()).rejects.toThrow(/unexpected.*language_model\.lm_head\.weight/);
  });

  it('shows which outputs a wrong weight of the cross-attention reaches', async () => {
    cpSync(join(FIXTURES, 'hf-florence2'), dir, { recursive: true });
    await rewrite('weights.safetensors', (t) => {
      const name = 'language_model.model.decoder.layers.1.encoder_attn.v_proj.weight';
      (t[name]!.data as Float32Array)[0]! += 0.5;
    });
    const names = await wrong();
    expect(names).toContain('present.1.encoder.value');
    expect(names).toEqual(expect.arrayContaining(LOGITS.map((n) => n.slice('output.'.length))));
    for (const same of ['image_features', 'encoder_last_hidden_state', 'present.1.encoder.key']) {
      expect(names).not.toContain(same);
    }
  });
});
