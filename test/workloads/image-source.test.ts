import { afterAll, describe, expect, it } from 'vitest';
import type { Session } from '../../src/core/backend.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { promptPositions } from '../../src/core/positions.ts';
import { int64, type Tensor, toNumbers } from '../../src/core/tensor.ts';
import { byteTokenizer } from '../../src/data/tokenizer.ts';
import { compareOutputs } from '../../src/stats/parity.ts';
import { CachedDecoder } from '../../src/verify/cached-decoder.ts';
import { Sessions } from '../../src/verify/sessions.ts';
import { spliced } from '../../src/verify/vision-language.ts';
import { prepareArtifacts } from '../../src/weights/index.ts';
import { decoderFeeds } from '../../src/workloads/decoder.ts';
import { imagePrompt } from '../../src/workloads/image-prompt.ts';
import { asFed, fedDims } from '../../src/workloads/inputs.ts';
import { imagePositions, positionShift } from '../../src/workloads/positions.ts';
import { exactly } from '../../src/workloads/text.ts';
import { model } from '../../src/zoo/index.ts';
import type { Qwen2VlConfig } from '../../src/zoo/qwen2-vl.ts';
import { oneThread } from '../one-thread.ts';
import { cleanUp, openActivity, scratch } from './harness.ts';

afterAll(cleanUp);

const tiny = model('qwen2-vl-tiny') as ModelDef<Qwen2VlConfig> as ModelDef;
const session = (...inputs: [string, (number | string)[]][]) =>
  ({ inputs: inputs.map(([name, shape]) => ({ name, dtype: 'int64', shape })) }) as unknown as Session;

describe('the prompt of an image of any size', () => {
  it('gives the logits that the rules of the reference give', async () => {
    const question = 'which colour?';
    const params = { promptTokens: 5, newTokens: 3, imageSize: [84, 140] as const, question };
    const activity = await openActivity({ workload: imagePrompt, model: tiny, params, batch: 2 });
    const found = await activity.outputs();
    await activity.close();

    const { imageToken } = tiny.config as Qwen2VlConfig;
    const tokenizer = byteTokenizer(512);
    const row = [
      ...tokenizer.encode('USER: '),
      ...new Array<number>(15).fill(imageToken),
      ...exactly(tokenizer.encode(question), 5),
    ];
    const ids = int64([2, row.length], [...row, ...row]);
    const grid = [1, 3, 5] as const;
    const { positions, behind } = promptPositions(ids, undefined, imageToken, [grid, grid]);
    expect(behind).toEqual([-10, -10]);
    const artifacts = await prepareArtifacts(tiny, {
      cacheDir: `${scratch}/cache`,
      maxBytes: 1e9,
      precision: 'fp32',
    });
    const s = new Sessions(oneThread(), artifacts, { precision: 'fp32' });
    const embed = async (of: Tensor) => (await s.run('embed', { input_ids: of })).inputs_embeds!;
    const decoder = new CachedDecoder(s, 'decoder', 'inputs_embeds');
    const expected = [
      await decoder.step(spliced(await embed(ids), ids, found.image_features!, imageToken), { positions }),
    ];
    for (const step of [0, 1]) {
      const next = new Array<number>(6).fill(row.length - 10 + step);
      const token = await embed(int64([2, 1], [row[0]!, row[0]!]));
      expected.push(await decoder.step(token, { positions: int64([3, 2, 1], next) }));
    }
    await s.close();
    for (const [i, name] of ['prefill.logits', 'decode.1.logits', 'decode.2.logits'].entries()) {
      const logits = { ...expected[i]!, shape: found[name]!.shape };
      expect(compareOutputs({ a: found[name]! }, { a: logits }, 1e-5)[0]?.agrees, name).toBe(true);
    }
  });

  it('costs what the image is large; of a dataset that is not known before', async () => {
    const macs = (imageSize: readonly [number, number]) =>
      imagePrompt.macs!({ promptTokens: 4, newTokens: 1, imageSize }, 1, tiny);
    expect(await macs([112, 112])).toBeGreaterThan((await macs([56, 56]))!);
    // The typical size of the member is the default.
    expect(await imagePrompt.macs!({ promptTokens: 4, newTokens: 1 }, 1, tiny)).toBe(await macs([448, 448]));
    expect(await imagePrompt.macs!({ promptTokens: 4, newTokens: 1, dataset: 'shapes' }, 1, tiny)).toBeNull();
  });

  it.each([[[0, 5]], [[5]], [[1.5, 5]], [[20000, 5]]])('has no image of %j pixels', async (imageSize) => {
    const params = {
      promptTokens: 4,
      newTokens: 1,
      imageSize: imageSize as unknown as readonly [number, number],
    };
    await expect(openActivity({ workload: imagePrompt, model: tiny, params })).rejects.toThrow(
      /imageSize is/,
    );
  });
});

describe('positions', () => {
  const three = session(['position_ids', [3, 'batch', 'sequence']]);
  const runs = [{ text: 1 }, { grid: [1, 2, 2] }, { text: 1 }] as const;

  it('are given to decoders with three axes alone', () => {
    const one = session(['position_ids', ['batch', 'sequence']]);
    const call = { batch: 2, sequence: 6 };
    expect(imagePositions(one, runs, call)).toEqual({});
    expect(positionShift(one, runs)).toBe(0);
    const { position_ids } = imagePositions(three, runs, call);
    const axes = ['011113', '011223', '012123'];
    expect([...toNumbers(position_ids!)].join('')).toBe(axes.map((a) => a + a).join(''));
    expect(positionShift(three, runs)).toBe(-2);
    const four = session(['position_ids', [4, 'batch', 'sequence']]);
    expect(() => imagePositions(four, runs, call)).toThrow(/4 axes/);
  });

  it('must be as many as the tokens', () => {
    expect(() => imagePositions(three, runs, { batch: 1, sequence: 7 })).toThrow(
      /7 tokens has positions for 6/,
    );
  });

  it('behind an image are behind by what the image saved', () => {
    const feeds = decoderFeeds(three, { length: 6, shift: -2, tensors: {} }, { batch: 1, sequence: 2 }, {});
    expect([...toNumbers(feeds.position_ids!)].join('')).toBe('454545');
  });
});

it('dimensions of what is fed are known by name where they are multiples', () => {
  const inputs = [{ name: 'x', dtype: 'float32', shape: ['batch', '4*tokens', 'past+sequence', 7] }] as const;
  const x = { dtype: 'float32', shape: [2, 12, 5, 7], data: new Float32Array(840) } as const;
  expect(fedDims(inputs, { x })).toEqual({ batch: 2, '4*tokens': 12, tokens: 3, 'past+sequence': 5 });
  const half = [{ ...inputs[0], dtype: 'float16' }] as const;
  expect(asFed(half, { x }).x!.dtype).toBe('float16');
  expect(asFed(inputs, { x }).x).toBe(x);
});
