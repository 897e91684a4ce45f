import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { int64 } from '../../src/core/tensor.ts';
import { compareOutputs } from '../../src/stats/parity.ts';
import { CachedDecoder } from '../../src/verify/cached-decoder.ts';
import { filled, joined, span } from '../../src/verify/tokens.ts';
import { buildDecoder, type DecoderConfig } from '../../src/zoo/decoder.ts';
import { model } from '../../src/zoo/index.ts';
import { buildResNet, type ResNetConfig } from '../../src/zoo/resnet.ts';
import { largest, waves, withModel } from './run-model.ts';

describe('seeded weights', () => {
  it.each([
    'resnet-tiny',
    'vit-tiny',
    'deit-tiny',
    'alexnet-tiny',
    'vgg-tiny',
    'vgg-bn-tiny',
    'swin-tiny',
    'convnext-tiny',
  ])('%s tells images apart, with finite numbers', async (name) => {
    const image = waves([2, 3, 64, 64]);
    image.data.fill(0.25 as never, 3 * 64 * 64);
    const { logits } = await withModel(model(name), (s) => s.run('model', { pixel_values: image }));
    expect(logits!.shape).toEqual([2, 8]);
    expect(largest({ logits: logits! })).toBeGreaterThan(0.01);
    expect(logits!.data[0]).not.toBeCloseTo(Number(logits!.data[8]), 4);
  });

  it('fifty residual blocks stay within the range of float16', async () => {
    const config: ResNetConfig = {
      ...(model('resnet-152').config as ResNetConfig),
      ...{ image: [32, 32], stemWidth: 8, widths: [16, 24, 32, 40], classes: 4, taps: true },
    };
    const deep: ModelDef<ResNetConfig> = {
      ...{ name: 'deep', family: 'resnet', task: 'classify', config, build: buildResNet },
    };
    const outputs = await withModel(deep, (s) => s.run('model', { pixel_values: waves([1, 3, 32, 32]) }));
    expect(largest(outputs)).toBeGreaterThan(0.1);
    expect(largest(outputs)).toBeLessThan(1000);
  });

  it('clip-tiny gives embeddings of length 1 and similarities within the scale', async () => {
    const ids = int64([2, 6], [1, 5, 9, 1023, 0, 0, 1, 7, 1023, 0, 0, 0]);
    await withModel(model('clip-tiny'), async (s) => {
      const { image_embeds } = await s.run('vision', { pixel_values: waves([3, 3, 64, 64]) });
      const { text_embeds } = await s.run('text', { input_ids: ids, attention_mask: filled(2, 6, 1) });
      const norm = Math.hypot(...(text_embeds!.data.subarray(0, 64) as Float32Array));
      expect(norm).toBeCloseTo(1, 5);
      const { logits_per_image } = await s.run('similarity', {
        image_embeds: image_embeds!,
        text_embeds: text_embeds!,
      });
      expect(logits_per_image!.shape).toEqual([3, 2]);
      expect(largest({ logits_per_image: logits_per_image! })).toBeLessThanOrEqual(Math.exp(2.6592) * 1.0001);
    });
  });
});

/** Small decoders of every shape: grouped heads, odd ratios, own head width, scaling, biases, tied or not. */
const decoders = fc
  .record({
    kvHeads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 3 }),
    half: fc.integer({ min: 1, max: 4 }),
    width: fc.integer({ min: 3, max: 20 }),
    factor: fc.constantFrom(1, 2.5),
    tied: fc.boolean(),
    bias: fc.boolean(),
  })
  .map(({ kvHeads, group, half, width, factor, tied, bias }): DecoderConfig => {
    return {
      ...{
        vocabulary: 17,
        width,
        depth: 2,
        heads: kvHeads * group,
        kvHeads,
        headWidth: 2 * half,
        mlpWidth: 9,
      },
      ...{ eps: 1e-6, activation: 'silu', rotary: { theta: 1e4, factor }, context: 64, tied, logits: 'all' },
      ...{ qkvBias: bias, outputBias: bias, mlpBias: bias },
    };
  });

const decoderModel = (config: DecoderConfig): ModelDef<DecoderConfig> => ({
  ...{ name: 'decoder', family: 'llama', task: 'generate', config, build: buildDecoder },
});

describe('the decoder', () => {
  const ids = int64([2, 5], [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]);

  it('gives the same logits token by token with its cache as for the whole prompt', async () => {
    await fc.assert(
      fc.asyncProperty(decoders, fc.integer({ min: 1, max: 4 }), async (config, first) => {
        await withModel(decoderModel(config), async (s) => {
          const whole = await new CachedDecoder(s, 'model', 'input_ids').step(ids);
          const stepwise = new CachedDecoder(s, 'model', 'input_ids');
          const parts = [await stepwise.step(span(ids, 0, first))];
          for (let at = first; at < 5; at++) parts.push(await stepwise.step(span(ids, at, at + 1)));
          const [difference] = compareOutputs({ logits: joined(parts) }, { logits: whole }, 1e-5);
          expect(difference?.agrees).toBe(true);
        });
      }),
      { numRuns: 25 },
    );
  });

  it("gives only the last position's logits when asked to, the same ones", async () => {
    const config = { ...(model('qwen2-tiny').config as DecoderConfig), logits: 'all' as const };
    const step = (c: DecoderConfig) =>
      withModel(decoderModel(c), (s) => new CachedDecoder(s, 'model', 'input_ids').step(ids));
    const [all, last] = [await step(config), await step({ ...config, logits: 'last' })];
    expect(compareOutputs({ logits: last }, { logits: span(all, 4, 5) }, 1e-6)[0]?.agrees).toBe(true);
  });

  it('sees nothing at padding, and only distances between positions', async () => {
    const config = { ...(model('qwen2-tiny').config as DecoderConfig), logits: 'last' as const };
    await withModel(decoderModel(config), async (s) => {
      const plain = await new CachedDecoder(s, 'model', 'input_ids').step(int64([1, 3], [7, 8, 9]));
      const padded = await new CachedDecoder(s, 'model', 'input_ids').step(int64([1, 5], [44, 55, 7, 8, 9]), {
        mask: int64([1, 5], [0, 0, 1, 1, 1]),
        positions: int64([1, 5], [1, 1, 10, 11, 12]),
      });
      expect(compareOutputs({ logits: padded }, { logits: plain }, 1e-4)[0]?.agrees).toBe(true);
    });
  });
});
