import type { Dim, Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { mulDims } from '../graph/dims.ts';
import { checkDepths, checkDivides, checkPositive, checkSizes } from './check.ts';
import { type Activation, activate, EMBEDDING, layerNorm, linear, linearOf, toRows } from './layers.ts';
import { countTo, futureMask, paddingMask } from './mask.ts';

/**
 * BART: an encoder reads the whole source, a decoder writes the target token by token and looks at what was read through
 * cross-attention. Learnt positions, normalisation behind every residual sum, one table for all embeddings and the output.
 * Source: Lewis et al., "BART: Denoising sequence-to-sequence pre-training" (2019); names and details as in transformers'
 * BartForConditionalGeneration.
 */
export interface BartConfig {
  readonly vocabulary: number;
  readonly width: number;
  /** Longest source and longest target, in tokens. */
  readonly context: number;
  readonly encoder: BartStack;
  readonly decoder: BartStack;
  readonly eps: number;
  readonly activation: Activation;
  /** Token embeddings are multiplied by the square root of the width. */
  readonly scaledEmbedding: boolean;
  /** Prefix of the stacks' tensor names: `language_model.model.`. */
  readonly prefix: string;
  /** The embedding table, [vocabulary, width]. */
  readonly table: string;
  /** The output layer of its own; null where it is the embedding table. */
  readonly head: string | null;
  /** The tensor [1, vocabulary] that is added to the logits; null where the checkpoint has none. */
  readonly logitsBias: string | null;
  /** Logits of every position, or (what generation needs) of each sequence's last one: [batch, 1, vocabulary]. */
  readonly logits: 'all' | 'last';
}

export interface BartStack {
  readonly depth: number;
  readonly heads: number;
  readonly mlpWidth: number;
}

/** Positions start behind two rows that nothing reads: BART's tables inherited them from a padding index. */
const POSITION_OFFSET = 2;

/**
 * - `embed`: input_ids [batch, sequence] → inputs_embeds;
 * - `encoder`: inputs_embeds [batch, source, width], attention_mask [batch, source] → last_hidden_state, and the keys and
 *   values that the decoder's cross-attention needs, present.N.encoder.key/value [batch, heads, source, head width];
 * - `decoder`: inputs_embeds [batch, sequence, width], encoder_attention_mask [batch, source], past_key_values.N.encoder.*,
 *   past_key_values.N.decoder.key/value [batch, heads, past, head width] → logits, present.N.decoder.*. Positions follow
 *   from the length of the cache.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildBart(config: BartConfig): { embed: Graph; encoder: Graph; decoder: Graph } {
  checkBart(config);
  return { embed: embedGraph(config), encoder: encoderGraph(config), decoder: decoderGraph(config) };
}

function embedGraph(config: BartConfig): Graph {
  const g = new GraphBuilder('bart.embed');
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  const embedded = g.gather(embeddingTable(g, config), ids, 0);
  g.output('inputs_embeds', config.scaledEmbedding ? g.mul(embedded, Math.sqrt(config.width)) : embedded);
  return g.build();
}

function embeddingTable(g: GraphBuilder, { table, vocabulary, width }: BartConfig): Value {
  return g.param(table, [vocabulary, width], EMBEDDING);
}

function encoderGraph(config: BartConfig): Graph {
  const { width, eps, encoder, decoder, prefix } = config;
  const g = new GraphBuilder('bart.encoder');
  const embeds = g.input('inputs_embeds', 'float32', ['batch', 'source', width]);
  const attentionMask = g.input('attention_mask', 'int64', ['batch', 'source']);
  const mask = g.scope('mask', () => paddingMask(g, attentionMask));
  const places = g.scope('positions', () => countTo(g, g.dim('source')));
  let rows = g.scope('embeddings', () => embedded(g, embeds, places, config, `${prefix}encoder`));
  for (let i = 0; i < encoder.depth; i++) {
    const name = `${prefix}encoder.layers.${i}`;
    rows = g.scope(`encoder.${i}`, () => {
      const [key, value] = keysAndValues(g, rows, 'source', config, encoder, `${name}.self_attn`);
      const out = attend(g, rows, { key, value, mask }, 'source', config, encoder, `${name}.self_attn`);
      const x = layerNorm(g, g.add(rows, out), `${name}.self_attn_layer_norm`, width, eps);
      return feedForward(g, x, config, encoder, name);
    });
  }
  g.output('last_hidden_state', g.reshape(rows, ['batch', 'source', width]));
  for (let i = 0; i < decoder.depth; i++) {
    const name = `${prefix}decoder.layers.${i}.encoder_attn`;
    const [key, value] = g.scope(`cross.${i}`, () => keysAndValues(g, rows, 'source', config, decoder, name));
    g.output(`present.${i}.encoder.key`, key);
    g.output(`present.${i}.encoder.value`, value);
  }
  return g.build();
}

function decoderGraph(config: BartConfig): Graph {
  const { width, eps, decoder, prefix } = config;
  const g = new GraphBuilder('bart.decoder');
  const embeds = g.input('inputs_embeds', 'float32', ['batch', 'sequence', width]);
  const sourceMask = g.input('encoder_attention_mask', 'int64', ['batch', 'source']);
  const cached = (layer: number, part: string, length: string) => {
    const shape = ['batch', decoder.heads, length, width / decoder.heads];
    const name = `past_key_values.${layer}.${part}`;
    return {
      key: g.input(`${name}.key`, 'float32', shape),
      value: g.input(`${name}.value`, 'float32', shape),
    };
  };
  const caches = Array.from({ length: decoder.depth }, (_, i) => ({
    own: cached(i, 'decoder', 'past'),
    source: cached(i, 'encoder', 'source'),
  }));
  const [places, keys] = g.scope('positions', () => {
    const total = g.add(g.dim('past'), g.dim('sequence'));
    return [g.add(countTo(g, g.dim('sequence')), g.dim('past')), countTo(g, total)] as const;
  });
  const causal = g.scope('mask', () => futureMask(g, places, keys));
  const cross = g.scope('mask', () => paddingMask(g, sourceMask));
  let rows = g.scope('embeddings', () => embedded(g, embeds, places, config, `${prefix}decoder`));
  caches.forEach(({ own, source }, i) => {
    const name = `${prefix}decoder.layers.${i}`;
    rows = g.scope(`decoder.${i}`, () => {
      const [newKeys, newValues] = keysAndValues(g, rows, 'sequence', config, decoder, `${name}.self_attn`);
      const key = g.concat([own.key, newKeys], 2);
      const value = g.concat([own.value, newValues], 2);
      g.output(`present.${i}.decoder.key`, key);
      g.output(`present.${i}.decoder.value`, value);
      const self = { key, value, mask: causal };
      const said = attend(g, rows, self, 'sequence', config, decoder, `${name}.self_attn`);
      const x = layerNorm(g, g.add(rows, said), `${name}.self_attn_layer_norm`, width, eps);
      const other = { ...source, mask: cross };
      const read = attend(g, x, other, 'sequence', config, decoder, `${name}.encoder_attn`);
      const y = layerNorm(g, g.add(x, read), `${name}.encoder_attn_layer_norm`, width, eps);
      return feedForward(g, y, config, decoder, name);
    });
  });
  g.scope('head', () => logits(g, rows, config));
  return g.build();
}

/** Rows of norm(embeddings + positions). */
function embedded(g: GraphBuilder, embeds: Value, places: Value, config: BartConfig, name: string): Value {
  const { context, width, eps } = config;
  const positions = g.param(`${name}.embed_positions.weight`, [context + POSITION_OFFSET, width], EMBEDDING);
  const sum = g.add(embeds, g.gather(positions, g.add(places, POSITION_OFFSET), 0));
  return layerNorm(g, toRows(g, sum), `${name}.layernorm_embedding`, width, eps);
}

/** Keys and values of rows, [batch, heads, length, head width] each. */
function keysAndValues(
  g: GraphBuilder,
  rows: Value,
  length: Dim,
  { width }: BartConfig,
  { heads }: BartStack,
  name: string,
): [Value, Value] {
  const project = (part: string) => {
    const projected = linear(g, rows, `${name}.${part}_proj`, { from: width, to: width });
    return g.transpose(g.reshape(projected, ['batch', length, heads, width / heads]), [0, 2, 1, 3]);
  };
  return [project('k'), project('v')];
}

interface Seen {
  readonly key: Value;
  readonly value: Value;
  /** Added to the scores, broadcast to [batch, heads, queries, keys]. */
  readonly mask: Value;
}

/** What the queries of `rows` make of keys and values, through the output projection. */
function attend(
  g: GraphBuilder,
  rows: Value,
  { key, value, mask }: Seen,
  length: Dim,
  { width }: BartConfig,
  { heads }: BartStack,
  name: string,
): Value {
  const headWidth = width / heads;
  const projected = linear(g, rows, `${name}.q_proj`, { from: width, to: width });
  const query = g.transpose(g.reshape(projected, ['batch', length, heads, headWidth]), [0, 2, 1, 3]);
  const scores = g.matmul(g.mul(query, 1 / Math.sqrt(headWidth)), g.transpose(key, [0, 1, 3, 2]));
  const mixed = g.matmul(g.softmax(g.add(scores, mask), -1), value);
  const joined = g.reshape(g.transpose(mixed, [0, 2, 1, 3]), [mulDims('batch', length), width]);
  return linear(g, joined, `${name}.out_proj`, { from: width, to: width });
}

/** norm(x + fc2(activation(fc1(x)))) */
function feedForward(g: GraphBuilder, x: Value, config: BartConfig, stack: BartStack, name: string): Value {
  const { width, eps, activation } = config;
  const wide = linear(g, x, `${name}.fc1`, { from: width, to: stack.mlpWidth });
  const narrow = linear(g, activate(g, wide, activation), `${name}.fc2`, { from: stack.mlpWidth, to: width });
  return layerNorm(g, g.add(x, narrow), `${name}.final_layer_norm`, width, eps);
}

function logits(g: GraphBuilder, rows: Value, config: BartConfig): void {
  const { width, vocabulary, head, logitsBias } = config;
  const last = config.logits === 'last';
  const asked = last
    ? g.gather(g.reshape(rows, ['batch', 'sequence', width]), g.scalar(-1, 'int64'), 1)
    : rows;
  const weight = head ?? config.table;
  g.param(weight, [vocabulary, width], EMBEDDING);
  let out = linearOf(g, asked, weight, null, { from: width, to: vocabulary });
  if (logitsBias !== null) {
    const zeros = { kind: 'constant', value: 0 } as const;
    out = g.add(out, g.param(logitsBias, [1, vocabulary], zeros, { role: 'buffer' }));
  }
  g.output('logits', g.reshape(out, ['batch', last ? 1 : 'sequence', vocabulary]));
}

function checkBart(config: BartConfig): void {
  const { vocabulary, width, context, eps } = config;
  checkSizes('bart', { vocabulary, width, context });
  checkPositive('bart', { eps });
  for (const part of ['encoder', 'decoder'] as const) {
    const { depth, heads, mlpWidth } = config[part];
    checkDepths('bart', { [`${part}.depth`]: depth });
    checkSizes('bart', { [`${part}.heads`]: heads, [`${part}.mlpWidth`]: mlpWidth });
    checkDivides('bart', [`${part}.heads`, heads], ['width', width]);
  }
}
