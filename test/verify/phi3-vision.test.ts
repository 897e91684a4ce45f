import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { float32, int64, type Tensor, type Tensors } from '../../src/core/tensor.ts';
import { compareOutputs } from '../../src/stats/parity.ts';
import { phi3VisionOutputs } from '../../src/verify/phi3-vision.ts';
import { span } from '../../src/verify/tokens.ts';
import { model } from '../../src/zoo/index.ts';
import type { Phi3VisionConfig } from '../../src/zoo/phi3-vision.ts';
import { waves, withModel } from '../zoo/run-model.ts';

const TINY = model('phi-3.5-vision-tiny') as ModelDef<Phi3VisionConfig>;
const CONFIG: Phi3VisionConfig = {
  ...TINY.config,
  text: { ...TINY.config.text, logits: 'all' },
  taps: true,
};
const VIEW = 3 * 32 * 32;

const outputs = (inputs: Tensors, expected: Tensors = {}) =>
  withModel({ ...TINY, config: CONFIG }, (s) => phi3VisionOutputs(s, { inputs, expected }, CONFIG));

/** Tokens of a crop: 2 × 2. */
const tokens = (rows: number, columns: number) => rows * 2 * (columns * 2 + 1) + 1 + 2 * 3;
const floats = (t: Tensor) => t.data as Float32Array;

describe('what is recorded of Phi-3.5-vision', () => {
  it('has several images, with crops that fill up', async () => {
    // The first is one crop of three, the second two beside each other.
    const pixels = waves([2, 4, 3, 32, 32]);
    const [first, second] = [tokens(1, 1), tokens(1, 2)];
    const ids = [5, ...Array(first).fill(-1), 6, ...Array(second).fill(-2), 7] as number[];
    const found = await outputs({
      input_ids: int64([1, ids.length], ids),
      pixel_values: pixels,
      image_sizes: int64([2, 2], [32, 32, 32, 64]),
    });
    expect(found.clip_features!.shape).toEqual([2, 4, 16, 64]);
    expect(found.image_features!.shape).toEqual([first + second, 64]);
    expect(found.logits!.shape).toEqual([1, ids.length, 512]);

    // The second image alone, without spare crops, gives the same.
    const alone = await outputs({
      input_ids: int64([1, second], Array(second).fill(-1)),
      pixel_values: float32([1, 3, 3, 32, 32], floats(pixels).slice(4 * VIEW, 7 * VIEW)),
      image_sizes: int64([1, 2], [32, 64]),
    });
    const close = (a: Float32Array, b: Float32Array) => {
      const shape = [a.length];
      const [same] = compareOutputs({ it: float32(shape, a) }, { it: float32([b.length], b) }, 1e-5);
      expect(same).toMatchObject({ agrees: true });
    };
    close(floats(found.image_features!).slice(first * 64), floats(alone.image_features!));
    close(floats(found.clip_features!).slice(4 * 16 * 64, 7 * 16 * 64), floats(alone.clip_features!));
    // Every image stands in its own places.
    close(floats(span(found.inputs_embeds!, first + 2, first + 2 + second)), floats(alone.inputs_embeds!));
    close(
      floats(span(found.inputs_embeds!, 1, first + 1)),
      floats(found.image_features!).slice(0, first * 64),
    );
  });

  it('may be text alone', async () => {
    const found = await outputs(
      { input_ids: int64([1, 3], [5, 6, 7]) },
      { greedy_new_ids: int64([1, 2], [0, 0]) },
    );
    expect(found.logits!.shape).toEqual([1, 3, 512]);
    expect(found.greedy_new_ids!.shape).toEqual([1, 2]);
    expect(found.decode_logits!.shape).toEqual([1, 2, 512]);
    expect(found.image_features).toBeUndefined();
  });

  it.each([
    ['sizes of no whole crops', [32, 48]],
    ['half crops', [64, 16]],
    ['more crops than there are', [64, 64]],
    ['no height', [0, 32]],
    ['a negative grid', [-32, -32]],
  ])('refuses %s', async (_, sizes) => {
    const inputs = {
      input_ids: int64([1, 1], [5]),
      pixel_values: waves([1, 3, 3, 32, 32]),
      image_sizes: int64([1, 2], sizes),
    };
    const error = await outputs(inputs).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(VersusError);
    expect((error as VersusError).message).toMatch(
      /image_sizes: an image of .* is no grid of at most 2 crops/,
    );
  });

  it('refuses pixels of another side, and sizes of other images', async () => {
    const inputs = { input_ids: int64([1, 1], [5]), image_sizes: int64([1, 2], [32, 32]) };
    await expect(outputs({ ...inputs, pixel_values: waves([1, 2, 3, 16, 16]) })).rejects.toThrow(VersusError);
    await expect(outputs({ ...inputs, pixel_values: waves([2, 2, 3, 32, 32]) })).rejects.toThrow(VersusError);
    await expect(
      outputs({ input_ids: inputs.input_ids, pixel_values: waves([1, 2, 3, 32, 32]) }),
    ).rejects.toThrow(/lacks input.image_sizes/);
  });
});
