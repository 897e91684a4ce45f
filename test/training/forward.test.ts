import { describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { qwen2VlPreprocess } from '../../src/core/processors.ts';
import { random, seedOf } from '../../src/core/random.ts';
import {
  elementCount,
  float32,
  int64,
  type Tensor,
  type Tensors,
  tensor,
  toNumbers,
} from '../../src/core/tensor.ts';
import { resized, withAllLogits } from '../../src/estimate/resize.ts';
import { interpret } from '../../src/graph/interpret.ts';
import {
  checkLabels,
  type Forward,
  type ForwardOptions,
  forwardOf,
  type Sizes,
} from '../../src/training/forward/index.ts';
import { model as zoo } from '../../src/zoo/index.ts';
import { fixture, numbersOf } from './numbers.ts';

const forward = async (model: ModelDef, sizes: Sizes, options?: ForwardOptions): Promise<Forward> =>
  forwardOf(model, await model.build(model.config), sizes, options);

const run = async (model: ModelDef, { graph }: Forward, feeds: Tensors): Promise<Tensors> =>
  interpret(graph, await numbersOf(model, graph), feeds);

const scalar = (t: Tensor | undefined): number => toNumbers(t!)[0]!;

function largestDifference(a: Tensor, b: Tensor): number {
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [toNumbers(a), toNumbers(b)];
  return x.reduce((most, v, i) => Math.max(most, Math.abs(v - y[i]!)), 0);
}

describe('the loss of recorded training runs', () => {
  it.each([
    ['train-vit', { batch: 4 }],
    ['train-resnet_bottleneck', { batch: 4 }],
    ['train-llama', { batch: 2, sequence: 12 }],
    ['train-qwen2-tied', { batch: 2, sequence: 12 }],
    ['train-clip', { batch: 4, sequence: 8 }],
  ])('is that of %s', async (name, sizes) => {
    const { model, io } = await fixture(name);
    const joined = await forward(model, sizes);
    const feeds = Object.fromEntries(joined.inputs.map((i) => [i.name, io[`input.${i.name}`]!]));
    const { loss } = await run(model, joined, feeds);
    expect(loss!.shape).toEqual([]);
    expect(Math.abs(scalar(loss) - scalar(io['output.loss']))).toBeLessThan(1e-5);
  });
});

/* What references recorded of a prompt with an image: the joined graph has to put everything where they do. */
describe('an image among tokens', () => {
  const logitsOf = async (
    name: string,
    sizes: Sizes,
    feeds: (io: Tensors) => Tensors,
    processor: Partial<ModelDef> = {},
  ) => {
    const found = await fixture(name);
    const { io } = found;
    const model = { ...found.model, ...processor };
    const joined = await forward(model, sizes);
    const { logits } = await run(model, joined, feeds(io));
    expect(largestDifference(logits!, io['output.logits']!)).toBeLessThan(1e-4);
    return { joined, logits };
  };
  /** Ids without those of the image, and labels that ask for the last of them. */
  const text = (io: Tensors, image: number) => {
    const ids = [...toNumbers(io['input.input_ids']!)].filter((id) => id !== image);
    const row = int64([1, ids.length], ids);
    return { input_ids: row, labels: row };
  };

  it('is where LLaVA has it', async () => {
    await logitsOf('hf-llava', { batch: 1, sequence: 9, before: 5 }, (io) => ({
      ...{ pixel_values: io['input.pixel_values']! },
      ...text(io, 120),
    }));
  });

  it('is where Qwen2-VL has it, on three axes', async () => {
    const { joined } = await logitsOf(
      'hf-qwen2vl',
      { batch: 1, sequence: 9, before: 5, grid: [2, 3] },
      (io) => {
        const pixels = io['input.pixel_values']!;
        return { pixel_values: { ...pixels, shape: [1, ...pixels.shape] }, ...text(io, 123) };
      },
      { tiling: qwen2VlPreprocess({ patch: 4 }) },
    );
    expect(joined.inputs.map((i) => i.name)).toEqual(['pixel_values', 'input_ids', 'labels']);
  });

  it('is where Phi-3.5-vision has it, in crops', async () => {
    await logitsOf('phi35-vision', { batch: 1, sequence: 8, before: 4, grid: [2, 1] }, (io) => {
      const views = io['input.pixel_values']!;
      const one = 3 * 32 * 32;
      const part = (from: number, to: number) => (views.data as Float32Array).slice(from * one, to * one);
      return {
        global_view: float32([1, 3, 32, 32], part(0, 1)),
        crops: float32([1, 2, 1, 3, 32, 32], part(1, 3)),
        ...text(io, -1),
      };
    });
  });

  it.each([
    ['hf-florence2', -1],
    ['hf-florence2-native', 95],
  ])('is where Florence-2 has it (%s)', async (name, image) => {
    await logitsOf(name, { batch: 1, prompt: 5, sequence: 6 }, (io) => ({
      ...{ pixel_values: io['input.pixel_values']!, input_ids: text(io, image).input_ids },
      ...{ decoder_input_ids: io['input.decoder_input_ids']!, labels: int64([1, 6], [1, 2, 3, 4, 5, 2]) },
    }));
  });

  it('asks for the text behind the image from its last token, and for nothing inside it', async () => {
    const { model, io } = await fixture('hf-llava');
    const joined = await forward(model, { batch: 1, sequence: 9, before: 5 });
    const asked = async (place: number): Promise<[number, Tensor]> => {
      const labels = new Array<number>(9).fill(-100);
      labels[place] = 27;
      const feeds = {
        pixel_values: io['input.pixel_values']!,
        ...text(io, 120),
        labels: int64([1, 9], labels),
      };
      const { loss, logits } = await run(model, joined, feeds);
      return [scalar(loss), logits!];
    };
    const nll = (logits: Tensor, row: number): number => {
      const v = toNumbers(logits).subarray(row * 128, (row + 1) * 128);
      return Math.log(v.reduce((s, x) => s + Math.exp(x), 0)) - v[27]!;
    };
    // The fifth token of text is the first behind 16 image tokens: row 4 + 16 has to know it.
    const [behind, logits] = await asked(5);
    expect(behind).toBeCloseTo(nll(logits, 20), 5);
    const [before] = await asked(4);
    expect(before).toBeCloseTo(nll(logits, 3), 5);
  });
});

/** Sizes that every task understands; a model takes what it needs. */
const SIZES: Sizes = { batch: 2, sequence: 6, before: 2, prompt: 3, grid: [1, 2] };

/** Pixels, ids and labels for a joined graph, labels within its classes. */
function drawnBatch(name: string, { inputs, classes }: Forward): Tensors {
  const draw = random(seedOf(name, 1));
  return Object.fromEntries(
    inputs.map(({ name: input, dtype, shape }) => {
      // Features by rule are histograms.
      const spread = (x: number): number => (input === 'features' ? x : 2 * x - 1);
      const sizes = shape as number[];
      const count = elementCount(sizes);
      if (dtype === 'float32') {
        return [
          input,
          tensor(
            dtype,
            sizes,
            Float32Array.from({ length: count }, () => spread(draw.uniform())),
          ),
        ];
      }
      const most = input === 'labels' ? (classes ?? 1) : 500;
      return [
        input,
        int64(
          sizes,
          Array.from({ length: count }, () => draw.below(most)),
        ),
      ];
    }),
  );
}

describe('every task', () => {
  it.each([
    ['resnet-tiny', Math.log(8)],
    ['deit-tiny', Math.log(8)],
    ['swin-tiny', Math.log(8)],
    ['convnext-tiny', Math.log(8)],
    ['hog-tiny', Math.log(8)],
    ['sift-tiny', Math.log(8)],
    ['clip-tiny', Math.log(2)],
    ['siglip-tiny', null],
    ['qwen2-tiny', Math.log(512)],
    ['phi-3.5-tiny', Math.log(512)],
    ['llava-tiny', Math.log(512)],
    ['phi-3.5-vision-tiny', Math.log(512)],
    ['qwen2-vl-tiny', Math.log(512)],
    ['florence-2-tiny', Math.log(512)],
  ])('has a loss: %s', async (name, chance) => {
    const whole = withAllLogits(zoo(name));
    // DaViT's 64 pixels are four times what there is to see.
    const model = name === 'florence-2-tiny' ? resized(whole, [32, 32]) : whole;
    const joined = await forward(model, SIZES);
    // All that does not change from step to step is constant, and no cache is left.
    const idle = joined.graph.nodes.filter((n) =>
      ['Shape', 'Range', 'ConstantOfShape', 'Where', 'Cos', 'Greater'].includes(n.op),
    );
    expect(idle).toEqual([]);
    expect(joined.inputs.filter((i) => /mask|position|past/.test(i.name))).toEqual([]);
    const named = new Set(joined.graph.nodes.flatMap((n) => [...n.inputs, ...n.outputs]));
    const open = [...named].filter(
      (v) => v !== '' && !joined.graph.values?.[v]?.shape.every((d) => Number(d) > 0),
    );
    expect(open.filter((v) => joined.graph.values?.[v]?.shape.length !== 0)).toEqual([]);

    const { loss } = await run(model, joined, drawnBatch(name, joined));
    expect(Number.isFinite(scalar(loss))).toBe(true);
    // Seeded weights know nothing: what they say is no better than a guess, and not much worse.
    if (chance !== null) expect(Math.abs(scalar(loss) - chance) / chance).toBeLessThan(0.6);
  });

  it('spreads labels as torch does', async () => {
    const model = withAllLogits(zoo('hog-tiny'));
    const joined = await forward(model, { batch: 3 }, { labelSmoothing: 0.1 });
    const feeds = { ...drawnBatch('hog', joined), labels: int64([3], [1, -100, 7]) };
    const { loss, logits } = await run(model, joined, feeds);
    const rows = [0, 2].map((r) => [...toNumbers(logits!).subarray(8 * r, 8 * r + 8)]);
    const losses = rows.map((row, i) => {
      const top = Math.log(row.reduce((s, x) => s + Math.exp(x), 0));
      const mean = row.reduce((s, x) => s + top - x, 0) / 8;
      return 0.9 * (top - row[[1, 7][i]!]!) + 0.1 * mean;
    });
    expect(scalar(loss)).toBeCloseTo((losses[0]! + losses[1]!) / 2, 5);
  });
});

describe('batch normalisation', () => {
  it('gives its next statistics, or keeps the running ones', async () => {
    const { model, io } = await fixture('train-resnet_bottleneck');
    const feeds = { pixel_values: io['input.pixel_values']!, labels: io['input.labels']! };
    const learning = await forward(model, { batch: 4 });
    expect(learning.buffers.size).toBe(24);
    const results = await run(model, learning, feeds);
    for (const [buffer, output] of learning.buffers) {
      expect(largestDifference(results[output]!, io[`after_forward.${buffer}`]!)).toBeLessThan(1e-5);
    }
    const still = await forward(model, { batch: 4 }, { statistics: 'running' });
    expect(still.buffers.size).toBe(0);
    const { loss } = await run(model, still, feeds);
    expect(Math.abs(scalar(loss) - scalar(io['output.loss']))).toBeGreaterThan(0.1);
  });
});

describe('what cannot be trained', () => {
  it.each<[string, string, Sizes, RegExp]>([
    [
      'a text longer than the positions',
      'clip-tiny',
      { batch: 2, sequence: 500 },
      /Gather: an index is outside dimension/,
    ],
    ['no length of prompts', 'florence-2-tiny', { batch: 2, sequence: 4 }, /tokens of a prompt is undefined/],
    ['no grid', 'qwen2-vl-tiny', { batch: 2, sequence: 4 }, /images of any size, and none is given/],
    ['too many tokens before', 'llava-tiny', { batch: 2, sequence: 4, before: 5 }, /before: 5 of 4 tokens/],
    ['features without logits', 'sovit-tiny', { batch: 2 }, /gives no logits to be compared/],
  ])('is refused: %s', async (_, name, sizes, message) => {
    await expect(forward(withAllLogits(zoo(name)), sizes)).rejects.toThrow(message);
  });

  it('is refused: logits of the last place alone', async () => {
    await expect(forward(zoo('qwen2-tiny'), { batch: 2, sequence: 4 })).rejects.toThrow(
      /logits of \[2, 1, 512\] for 2 texts of 4 tokens/,
    );
  });

  it('names a label that is none of the classes', () => {
    expect(() => checkLabels(int64([2, 2], [0, 7, -100, 8]), 8)).toThrow(
      'label 8 of sample 1, place 1 is none of 8 classes',
    );
    expect(() => checkLabels(int64([2], [0, -1]), 8)).toThrow('label -1 of sample 1 is none of 8 classes');
    expect(() => checkLabels(int64([2, 2], [0, 7, -100, 1]), 8)).not.toThrow();
  });
});
