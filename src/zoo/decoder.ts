import type { Graph } from '../core/graph.ts';
import type { Parts } from '../core/model.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkDepths, checkDivides, checkPositive, checkSections, checkSizes } from './check.ts';
import { type Activation, activate, EMBEDDING, linear, linearOf, rmsNorm, toRows } from './layers.ts';
import { checkLongRope, type LongRope, longRopeTables } from './long-rope.ts';
import { causalMask, countTo } from './mask.ts';
import {
  type Rotary,
  type RotaryTables,
  rotaryFrequencies,
  rotaryTables,
  rotate,
  sectionedRotaryTables,
} from './rotary.ts';

/**
 * The decoder-only language model of Llama, Vicuna, Qwen2 and Phi-3: RMSNorm, rotary positions, grouped-query attention with a
 * cache, gated feed-forward layers. Sources: Touvron et al., "LLaMA" (2023); Ainslie et al., "GQA" (2023); Qwen team,
 * "Qwen2 technical report" (2024); Abdin et al., "Phi-3 technical report" (2024). A Qwen2 is a Llama with biases on query,
 * key and value; a Phi-3 is one with fused projections, and with LongRoPE where its context is long.
 */
export interface DecoderConfig {
  readonly vocabulary: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Key and value heads; each serves heads ÷ kvHeads query heads. */
  readonly kvHeads: number;
  readonly headWidth: number;
  readonly mlpWidth: number;
  readonly eps: number;
  readonly activation: Activation;
  readonly rotary: Rotary | LongRope;
  /** Longest sequence that the checkpoint was trained for. */
  readonly context: number;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** One matrix for query, key and value, in this order, and one for gate and up. */
  readonly fused?: boolean;
  /** How many of the last positions attention sees; all when left out. */
  readonly window?: number;
  /** The output layer is the embedding table. */
  readonly tied: boolean;
  /** Logits of every position, or (what generation needs) of each sequence's last one: [batch, 1, vocabulary]. */
  readonly logits: 'all' | 'last';
}

/** A language model is all text. */
export const DECODER_PARTS: Parts = { text: [''] };

/**
 * `model`: input_ids [batch, sequence], attention_mask [batch, past+sequence], position_ids [batch, sequence] (with
 * `rotary.sections` [axes, batch, sequence]),
 * past_key_values.N.key and .value [batch, kvHeads, past, headWidth] → logits, present.N.key and .value (rotated keys).
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildDecoder(config: DecoderConfig): Record<string, Graph> {
  checkDecoder(config);
  const g = new GraphBuilder('decoder');
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  decode(g, () => g.gather(embeddingTable(g, config, ''), ids, 0), config, '');
  return { model: g.build() };
}

/** `embed`: input_ids [batch, sequence] → inputs_embeds; `decoder`: the same as `model`, from inputs_embeds. */
export function buildSplicedDecoder(config: DecoderConfig, prefix: string): { embed: Graph; decoder: Graph } {
  checkDecoder(config);
  const embed = new GraphBuilder('embed');
  const ids = embed.input('input_ids', 'int64', ['batch', 'sequence']);
  embed.output('inputs_embeds', embed.gather(embeddingTable(embed, config, prefix), ids, 0));
  const g = new GraphBuilder('decoder');
  const embeddings = g.input('inputs_embeds', 'float32', ['batch', 'sequence', config.width]);
  decode(g, () => embeddings, config, prefix);
  return { embed: embed.build(), decoder: g.build() };
}

function embeddingTable(g: GraphBuilder, config: DecoderConfig, prefix: string): Value {
  return g.param(`${prefix}model.embed_tokens.weight`, [config.vocabulary, config.width], EMBEDDING);
}

function decode(g: GraphBuilder, embeddings: () => Value, config: DecoderConfig, prefix: string): void {
  const { width, depth, kvHeads, headWidth, vocabulary, eps } = config;
  const attentionMask = g.input('attention_mask', 'int64', ['batch', 'past+sequence']);
  const sections = 'long' in config.rotary ? undefined : config.rotary.sections;
  const axes = sections ? [sections.length] : [];
  const positions = g.input('position_ids', 'int64', [...axes, 'batch', 'sequence']);
  const cache = Array.from({ length: depth }, (_, i) => {
    const shape = ['batch', kvHeads, 'past', headWidth];
    const name = `past_key_values.${i}`;
    return {
      key: g.input(`${name}.key`, 'float32', shape),
      value: g.input(`${name}.value`, 'float32', shape),
    };
  });

  const mask = g.scope('mask', () => {
    const keys = countTo(g, g.dim('past+sequence'));
    const queries = g.add(countTo(g, g.dim('sequence')), g.dim('past'));
    return causalMask(g, attentionMask, queries, keys, config.window);
  });
  const angles = g.scope('rotary', () => anglesOf(g, positions, config));
  let rows = toRows(g, g.scope('embeddings', embeddings));
  cache.forEach((past, i) => {
    const name = `${prefix}model.layers.${i}`;
    rows = g.scope(`layers.${i}`, () => {
      const normed = rmsNorm(g, rows, `${name}.input_layernorm`, width, eps);
      const { out, key, value } = attention(g, normed, config, `${name}.self_attn`, { past, mask, angles });
      g.output(`present.${i}.key`, key);
      g.output(`present.${i}.value`, value);
      return feedForward(g, g.add(rows, out), config, name);
    });
  });
  g.scope('head', () => {
    const last = config.logits === 'last';
    if (last) rows = g.gather(g.reshape(rows, ['batch', 'sequence', width]), g.scalar(-1, 'int64'), 1);
    const normed = rmsNorm(g, rows, `${prefix}model.norm`, width, eps);
    const weight = config.tied ? `${prefix}model.embed_tokens.weight` : `${prefix}lm_head.weight`;
    // Seeded as an embedding either way, so that tied and untied models draw alike.
    g.param(weight, [vocabulary, width], EMBEDDING);
    const logits = linearOf(g, normed, weight, null, { from: width, to: vocabulary });
    g.output('logits', g.reshape(logits, ['batch', last ? 1 : 'sequence', vocabulary]));
  });
}

function anglesOf(g: GraphBuilder, positions: Value, { rotary, headWidth }: DecoderConfig): RotaryTables {
  if ('long' in rotary) return longRopeTables(g, positions, rotary, headWidth);
  const frequencies = rotaryFrequencies(rotary, headWidth);
  return rotary.sections
    ? sectionedRotaryTables(g, positions, frequencies, rotary.sections)
    : rotaryTables(g, positions, g.constant(frequencies, 'frequencies'));
}

interface Surroundings {
  readonly past: { readonly key: Value; readonly value: Value };
  readonly mask: Value;
  readonly angles: RotaryTables;
}

/** Attention of the new positions over the cache and themselves; `key` and `value` are the cache with them. */
function attention(g: GraphBuilder, rows: Value, config: DecoderConfig, name: string, around: Surroundings) {
  const { width, heads, kvHeads, headWidth } = config;
  const [q, k, v] = projections(g, rows, config, name);
  const toHeads = (x: Value) => g.transpose(x, [0, 2, 1, 3]);
  const query = toHeads(rotate(g, q, around.angles));
  const key = g.concat([around.past.key, toHeads(rotate(g, k, around.angles))], 2);
  const value = g.concat([around.past.value, toHeads(v)], 2);

  // The query heads that share a key head are further rows of one product, so keys and values are never repeated.
  const [sequence, total] = ['sequence', 'past+sequence'];
  const grouped = heads === kvHeads ? sequence : `${heads / kvHeads}*${sequence}`;
  const folded = g.reshape(query, ['batch', kvHeads, grouped, headWidth]);
  const scores = g.matmul(g.mul(folded, 1 / Math.sqrt(headWidth)), g.transpose(key, [0, 1, 3, 2]));
  const masked = g.add(g.reshape(scores, ['batch', heads, sequence, total]), around.mask);
  const shares = g.reshape(g.softmax(masked, -1), ['batch', kvHeads, grouped, total]);
  const mixed = g.reshape(g.matmul(shares, value), ['batch', heads, sequence, headWidth]);
  const joined = toRows(
    g,
    g.reshape(g.transpose(mixed, [0, 2, 1, 3]), ['batch', sequence, heads * headWidth]),
  );
  const output = { from: heads * headWidth, to: width, bias: config.outputBias };
  return { out: linear(g, joined, `${name}.o_proj`, output), key, value };
}

/** Query, key and value, [batch, sequence, heads, headWidth] each. */
function projections(
  g: GraphBuilder,
  rows: Value,
  config: DecoderConfig,
  name: string,
): [Value, Value, Value] {
  const { width: from, heads, kvHeads, headWidth, qkvBias: bias } = config;
  const counts = [heads, kvHeads, kvHeads] as const;
  const widths = counts.map((count) => count * headWidth);
  const to = heads * headWidth + 2 * kvHeads * headWidth;
  const flat = config.fused
    ? g.split(linear(g, rows, `${name}.qkv_proj`, { from, to, bias }), widths, 1)
    : ['q', 'k', 'v'].map((part, i) =>
        linear(g, rows, `${name}.${part}_proj`, { from, to: widths[i]!, bias }),
      );
  return flat.map((x, i) => g.reshape(x, ['batch', 'sequence', counts[i]!, headWidth])) as [
    Value,
    Value,
    Value,
  ];
}

/** x + down(activation(gate(norm(x))) × up(norm(x))) (Shazeer, "GLU variants improve transformer", 2020). */
function feedForward(g: GraphBuilder, x: Value, config: DecoderConfig, name: string): Value {
  const { width, mlpWidth, eps, mlpBias: bias } = config;
  const normed = rmsNorm(g, x, `${name}.post_attention_layernorm`, width, eps);
  const expand = (part: string, to: number) =>
    linear(g, normed, `${name}.mlp.${part}_proj`, { from: width, to, bias });
  const [gate, up] = (
    config.fused
      ? g.split(expand('gate_up', 2 * mlpWidth), [mlpWidth, mlpWidth], 1)
      : [expand('gate', mlpWidth), expand('up', mlpWidth)]
  ) as [Value, Value];
  const gated = g.mul(activate(g, gate, config.activation), up);
  return g.add(x, linear(g, gated, `${name}.mlp.down_proj`, { from: mlpWidth, to: width, bias }));
}

function checkDecoder(config: DecoderConfig): void {
  const model = 'decoder';
  const { vocabulary, width, depth, heads, kvHeads, headWidth, mlpWidth, context, eps, rotary } = config;
  checkDepths(model, { depth });
  checkSizes(model, { vocabulary, width, heads, kvHeads, headWidth, mlpWidth, context });
  checkDivides(model, ['kvHeads', kvHeads], ['heads', heads]);
  checkSizes(model, { 'headWidth / 2': headWidth / 2 });
  if (config.window !== undefined) checkSizes(model, { window: config.window });
  checkPositive(model, { eps });
  if ('long' in rotary) {
    checkLongRope(model, rotary, headWidth);
    return;
  }
  checkPositive(model, { 'rotary.theta': rotary.theta, 'rotary.factor': rotary.factor });
  if (rotary.sections) checkSections(model, rotary.sections, headWidth / 2);
}
