import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { Graph } from '../../src/core/graph.ts';
import { float32, int64, type Tensor, type Tensors, tensor } from '../../src/core/tensor.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { compareOutputs } from '../../src/stats/parity.ts';
import { toHalf } from '../../src/transform/precision.ts';
import { filled, joined, span } from '../../src/verify/tokens.ts';
import { buildFlorence2, type Florence2Config } from '../../src/zoo/florence2.ts';
import { model } from '../../src/zoo/index.ts';
import { drawn, onOnnxruntime } from './drawn.ts';
import { waves } from './run-model.ts';

type Run = (graph: Graph, feeds: Tensors) => Tensors | Promise<Tensors>;
const interpreted: Run = (graph, feeds) => interpret(graph, {}, feeds);

const tiny = model('florence-2-tiny').config as Florence2Config;

/** Small models of every shape: stacks of other depths and heads, odd widths of the tower, either layout, any bias. */
const small = fc
  .record({
    encoder: fc.record({ depth: fc.integer({ min: 1, max: 2 }), heads: fc.constantFrom(1, 2, 4) }),
    decoder: fc.record({ depth: fc.integer({ min: 1, max: 3 }), heads: fc.constantFrom(1, 2, 4) }),
    image: fc.tuple(fc.integer({ min: 5, max: 14 }), fc.integer({ min: 5, max: 14 })),
    lastWidth: fc.integer({ min: 2, max: 5 }),
    sources: fc.constantFrom(['average'] as const, ['pixels', 'average'] as const, ['pixels'] as const),
    microsoft: fc.boolean(),
    bias: fc.boolean(),
    scaledEmbedding: fc.boolean(),
    ownHead: fc.boolean(),
  })
  .map((r): Florence2Config => {
    const naming = r.microsoft ? 'microsoft' : 'transformers';
    const stage = (width: number, groups: number, stride: number, normFirst: boolean) => ({
      ...{ width, depth: 1, heads: groups, groups, mlpWidth: 6 },
      patch: { ...{ kernel: 3, stride, pad: 1, fill: 1 }, normFirst },
    });
    return {
      vision: {
        ...{ ...tiny.vision, image: r.image, window: 3, naming },
        stages: [stage(4, 2, 2, false), stage(r.lastWidth, 1, 2, true)],
      },
      ...{ places: 4, frames: 3, sources: r.sources, naming },
      imageToken: r.microsoft ? null : 16,
      text: {
        ...{ ...tiny.text, vocabulary: 17, width: 8, context: 12, logits: 'all' },
        ...{ encoder: { ...r.encoder, mlpWidth: 9 }, decoder: { ...r.decoder, mlpWidth: 7 } },
        ...{ scaledEmbedding: r.scaledEmbedding, prefix: 'text.', table: 'text.shared.weight' },
        ...{ head: r.ownHead ? 'lm_head.weight' : null, logitsBias: r.bias ? 'bias' : null },
      },
    };
  });

const graphsOf = (config: Florence2Config, seed: number): Record<string, Graph> =>
  Object.fromEntries(Object.entries(buildFlorence2(config)).map(([name, g]) => [name, drawn(g, seed)]));

const asPast = (present: Tensors): Tensors =>
  Object.fromEntries(
    Object.entries(present)
      .filter(([name]) => name.startsWith('present.'))
      .map(([name, t]) => [name.replace('present.', 'past_key_values.'), t]),
  );

/** The decoder on embedded tokens [batch, sequence, width] behind a cache; an empty one when left out. */
async function decode(graph: Graph, run: Run, embeds: Tensor, mask: Tensor, cross: Tensors, cache?: Tensors) {
  const empty = graph.inputs
    .filter(({ name }) => name.includes('.decoder.'))
    .map(({ name, shape }): [string, Tensor] => [
      name,
      float32([embeds.shape[0]!, Number(shape[1]), 0, Number(shape[3])], []),
    ]);
  const { logits, ...present } = await run(graph, {
    ...{ inputs_embeds: embeds, encoder_attention_mask: mask },
    ...asPast(cross),
    ...(cache ?? Object.fromEntries(empty)),
  });
  return { logits: logits!, present };
}

const agree = (computed: Tensors, expected: Tensors, tolerance: number) =>
  expect(compareOutputs(computed, expected, tolerance).filter((o) => !o.agrees)).toEqual([]);

const ids = int64([2, 5], [2, 1, 4, 1, 5, 2, 2, 6, 5, 3]);

/** Image and prompt through all graphs: every output of each. */
async function through(graphs: Record<string, Graph>, config: Florence2Config, run: Run): Promise<Tensors> {
  const image = waves([2, 3, ...config.vision.image]);
  const { image_features: features } = await run(graphs.vision!, { pixel_values: image });
  const { inputs_embeds: prompt } = await run(graphs.embed!, { input_ids: ids });
  const source = joined([features!, prompt!]);
  const mask = filled(2, source.shape[1]!, 1);
  const encoded = await run(graphs.encoder!, { inputs_embeds: source, attention_mask: mask });
  const { logits, present } = await decode(graphs.decoder!, run, prompt!, mask, encoded);
  return { features: features!, ...encoded, ...present, logits };
}

describe('Florence-2', () => {
  it('is the same in onnxruntime and in the interpreter', async () => {
    await fc.assert(
      fc.asyncProperty(small, fc.integer(), async (config, seed) => {
        const graphs = graphsOf({ ...config, text: { ...config.text, context: 40 } }, seed);
        agree(await through(graphs, config, onOnnxruntime), await through(graphs, config, interpreted), 1e-4);
      }),
      { numRuns: 4 },
    );
  });

  it('gives the same logits token by token with its caches as in one pass', async () => {
    await fc.assert(
      fc.asyncProperty(small, fc.integer({ min: 1, max: 4 }), async (config, first) => {
        const { embed, encoder, decoder } = graphsOf(config, first) as Record<string, Graph>;
        const { inputs_embeds: answer } = interpret(embed!, {}, { input_ids: ids });
        const mask = int64([2, 4], [1, 1, 1, 1, 1, 1, 0, 0]);
        const source = waves([2, 4, 8]);
        const cross = interpret(encoder!, {}, { inputs_embeds: source, attention_mask: mask });
        const whole = await decode(decoder!, interpreted, answer!, mask, cross);
        let step = await decode(decoder!, interpreted, span(answer!, 0, first), mask, cross);
        const parts = [step.logits];
        for (let at = first; at < 5; at++) {
          const next = span(answer!, at, at + 1);
          step = await decode(decoder!, interpreted, next, mask, cross, asPast(step.present));
          parts.push(step.logits);
        }
        agree({ logits: joined(parts), ...step.present }, { logits: whole.logits, ...whole.present }, 1e-5);
      }),
      { numRuns: 6 },
    );
  });

  it('hands over the keys and values that the decoder’s own projections make of what the encoder read', () => {
    fc.assert(
      fc.property(small, fc.integer(), (config, seed) => {
        const { encoder } = graphsOf(config, seed);
        const source = { inputs_embeds: waves([1, 3, 8]), attention_mask: filled(1, 3, 1) };
        const { last_hidden_state: hidden, ...cross } = interpret(encoder!, {}, source);
        const { depth, heads } = config.text.decoder;
        const data = (name: string) => encoder!.params.find((p) => p.name === name)!.data as Float32Array;
        for (let layer = 0; layer < depth; layer++) {
          for (const part of ['key', 'value']) {
            const name = `text.decoder.layers.${layer}.encoder_attn.${part[0]}_proj`;
            const [weight, bias] = [data(`${name}.weight`), data(`${name}.bias`)];
            const perHead = 8 / heads;
            const expected = Float32Array.from({ length: 24 }, (_, i) => {
              const [head, rest] = [Math.floor(i / (3 * perHead)), i % (3 * perHead)];
              const [token, out] = [Math.floor(rest / perHead), head * perHead + (rest % perHead)];
              let sum = bias[out]!;
              for (let c = 0; c < 8; c++) sum += Number(hidden!.data[token * 8 + c]) * weight[out * 8 + c]!;
              return sum;
            });
            const cached = `present.${layer}.encoder.${part}`;
            const recomputed = tensor('float32', [1, heads, 3, perHead], expected);
            agree({ [cached]: cross[cached]! }, { [cached]: recomputed }, 1e-5);
          }
        }
      }),
      { numRuns: 5 },
    );
  });

  it('sees nothing at the padding of a prompt', async () => {
    const { embed, encoder, decoder } = graphsOf(tiny, 3) as Record<string, Graph>;
    const logits = async (source: Tensor, mask: Tensor) => {
      const { inputs_embeds } = interpret(embed!, {}, { input_ids: source });
      const cross = interpret(encoder!, {}, { inputs_embeds: inputs_embeds!, attention_mask: mask });
      const { inputs_embeds: start } = interpret(embed!, {}, { input_ids: int64([1, 2], [2, 9]) });
      return { logits: (await decode(decoder!, interpreted, start!, mask, cross)).logits };
    };
    const plain = await logits(int64([1, 3], [7, 8, 9]), filled(1, 3, 1));
    const padded = await logits(int64([1, 5], [7, 8, 9, 1, 44]), int64([1, 5], [1, 1, 1, 0, 0]));
    agree(padded, plain, 1e-5);
    const [apart] = compareOutputs(
      await logits(int64([1, 5], [7, 8, 9, 1, 44]), filled(1, 5, 1)),
      plain,
      1e-3,
    );
    expect(apart!.agrees).toBe(false);
  });

  it('gives only the last position’s logits when asked to, the same ones', async () => {
    const mask = filled(2, 3, 1);
    const logits = async (asked: 'all' | 'last') => {
      const graphs = graphsOf({ ...tiny, text: { ...tiny.text, logits: asked } }, 0);
      const source = { inputs_embeds: waves([2, 3, 64]), attention_mask: mask };
      const cross = interpret(graphs.encoder!, {}, source);
      return (await decode(graphs.decoder!, interpreted, waves([2, 5, 64]), mask, cross)).logits;
    };
    agree({ logits: await logits('last') }, { logits: span(await logits('all'), 4, 5) }, 1e-6);
  });

  it('computes nearly the same in float16, beyond the padding of windows and prompts', async () => {
    const graphs = Object.fromEntries(
      Object.entries(buildFlorence2(tiny)).map(([name, g]) => [name, drawn(g, 1, 0.2)]),
    );
    const half = Object.fromEntries(Object.entries(graphs).map(([name, g]) => [name, toHalf(g)]));
    agree(await through(half, tiny, onOnnxruntime), await through(graphs, tiny, onOnnxruntime), 0.02);
  });

  const text = (change: object) => ({ text: { ...tiny.text, ...change } });
  const stack = (change: object) => ({ ...tiny.text.decoder, ...change });
  it.each([
    ['positions for fewer rows than the grid has', { places: 3 }, 'places'],
    ['no frames', { frames: 0 }, 'frames'],
    ['no image tokens', { sources: [] }, 'sources.length'],
    ['a tower of another layout', { naming: 'transformers' }, 'naming'],
    ['an image token beyond the vocabulary', { imageToken: 512 }, 'imageToken'],
    ['a vocabulary of nothing', text({ vocabulary: 0 }), 'vocabulary'],
    ['a context of nothing', text({ context: -1 }), 'context'],
    ['heads that do not divide', text({ decoder: stack({ heads: 5 }) }), 'decoder.heads'],
    ['an encoder without layers', text({ encoder: stack({ depth: 0 }) }), 'encoder.depth'],
    ['an MLP of half a width', text({ encoder: stack({ mlpWidth: 0.5 }) }), 'encoder.mlpWidth'],
    ['an epsilon below zero', text({ eps: -1 }), 'eps'],
  ])('refuses %s and names the field', (_, change, field) => {
    try {
      buildFlorence2({ ...tiny, ...change } as Florence2Config);
      throw new Error('it was accepted');
    } catch (error) {
      expect(error).toBeInstanceOf(VersusError);
      expect((error as VersusError).kind).toBe('usage');
      expect((error as VersusError).where).toContain(field);
    }
  });

  it('belongs to three parts: every weight to one', () => {
    const { parts } = model('florence-2-tiny');
    const names = Object.values(buildFlorence2(tiny)).flatMap((g) =>
      g.params.filter((p) => p.role === 'weight').map((p) => p.name),
    );
    const fits = (start: string, name: string) => {
      const wanted = start.split('.');
      const segments = name.split('.');
      return wanted.every((w, i) => w === '*' || w === segments[i]) ? wanted.length : -1;
    };
    const partOf = (name: string) =>
      Object.entries(parts!)
        .map(([part, starts]) => [part, Math.max(...starts.map((s) => fits(s, name)))] as const)
        .reduce((best, one) => (one[1] > best[1] ? one : best), ['none', 0] as readonly [string, number])[0];
    const counts: Record<string, number> = {};
    for (const name of new Set(names)) counts[partOf(name)] = (counts[partOf(name)] ?? 0) + 1;
    // Two decoder layers with four projections and a norm each, and the projector's matrix, norm and two tables.
    expect(counts['cross-modal']).toBe(2 * 10 + 5);
    expect(Object.keys(counts).sort()).toEqual(['cross-modal', 'text', 'vision']);
    expect(partOf('language_model.model.decoder.layers.1.encoder_attn.k_proj.weight')).toBe('cross-modal');
    expect(partOf('language_model.model.decoder.layers.1.self_attn.k_proj.weight')).toBe('text');
  });
});
