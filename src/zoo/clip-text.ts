import type { GraphBuilder, Value } from '../graph/builder.ts';
import { checkSizes } from './check.ts';
import type { BlockNames } from './encoder.ts';
import { EMBEDDING, layerNorm, linear, toRows } from './layers.ts';
import { causalMask, countTo } from './mask.ts';
import { checkTower, encoderLayerNames, encoderLayers, type Tower, unitLength } from './towers.ts';

/** CLIP's text tower: a causal transformer that is read at the text's last token (Radford et al. 2021, section 2.4). */
export interface ClipText extends Tower {
  readonly vocabulary: number;
  /** Longest text in tokens. */
  readonly context: number;
  /** The token that stands for the text: the first with this id, or (OpenAI's own files) the one with the largest id. */
  readonly endOfText: number | 'largest';
}

/** Where the tower's tensors lie in the checkpoint. */
interface TextNames {
  readonly tokens: string;
  readonly positions: string;
  layer(i: number): BlockNames;
  readonly norm: string;
  /** Rows of the pooled token [texts, width] → [texts, to]. */
  project(g: GraphBuilder, rows: Value, shape: { from: number; to: number }): Value;
}

const NAMES: Record<'transformers' | 'openai', TextNames> = {
  transformers: {
    tokens: 'text_model.embeddings.token_embedding.weight',
    positions: 'text_model.embeddings.position_embedding.weight',
    layer: (i) => encoderLayerNames('text_model', i),
    norm: 'text_model.final_layer_norm',
    project: (g, rows, shape) => linear(g, rows, 'text_projection', { ...shape, bias: false }),
  },
  openai: {
    tokens: 'token_embedding.weight',
    positions: 'positional_embedding',
    layer: (i) => {
      const block = `transformer.resblocks.${i}`;
      return {
        norm1: `${block}.ln_1`,
        project: { fusedWeight: `${block}.attn.in_proj_weight`, fusedBias: `${block}.attn.in_proj_bias` },
        output: `${block}.attn.out_proj`,
        norm2: `${block}.ln_2`,
        expand: `${block}.mlp.c_fc`,
        contract: `${block}.mlp.c_proj`,
      };
    },
    norm: 'ln_final',
    // A matrix of its own, [width, projection]: the only linear map that OpenAI keeps the other way round.
    project: (g, rows, { from, to }) =>
      g.gemm(rows, g.param('text_projection', [from, to], { kind: 'uniform', std: 1 / Math.sqrt(from) })),
  },
};

/**
 * Inputs input_ids, attention_mask [batch, sequence]; outputs text_embeds [batch, projection] of length 1 and, with taps,
 * text_last_hidden_state [batch, sequence, width] and text_features.
 */
export function clipTextTower(
  g: GraphBuilder,
  text: ClipText,
  options: { naming: keyof typeof NAMES; projection: number; taps: boolean },
): void {
  const { width, eps } = text;
  const { projection, taps } = options;
  const names = NAMES[options.naming];
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  const attentionMask = g.input('attention_mask', 'int64', ['batch', 'sequence']);
  const places = countTo(g, g.dim('sequence'));
  const sequence = g.scope('embeddings', () => {
    const tokens = g.gather(g.param(names.tokens, [text.vocabulary, width], EMBEDDING), ids, 0);
    const positions = g.param(names.positions, [text.context, width], EMBEDDING);
    return g.add(tokens, g.gather(positions, places, 0));
  });
  const mask = g.scope('mask', () => causalMask(g, attentionMask, places, places));
  let rows = encoderLayers(
    g,
    toRows(g, sequence),
    { ...text, batch: 'batch', length: 'sequence', mask },
    text.depth,
    names.layer,
  );
  const norm = (x: Value) => layerNorm(g, x, names.norm, width, eps);
  if (taps) {
    rows = norm(rows);
    g.output('text_last_hidden_state', g.reshape(rows, ['batch', 'sequence', width]));
  }
  // The norm looks at each token alone: without taps only the pooled ones need it.
  const end = g.gather(
    rows,
    g.scope('pooling', () => endOfTextRows(g, ids, text.endOfText)),
    0,
  );
  const pooled = taps ? end : norm(end);
  const features = names.project(g, pooled, { from: width, to: projection });
  if (taps) g.output('text_features', features);
  g.output('text_embeds', unitLength(g, features));
}

/** The row of each text's end-of-text token; ties and repetitions go to the first, a text without one to its first token. */
function endOfTextRows(g: GraphBuilder, ids: Value, endOfText: ClipText['endOfText']): Value {
  const score = endOfText === 'largest' ? ids : g.equal(ids, endOfText);
  const place = g.argMax(g.cast(score, 'int32'), 1, false);
  return g.add(g.mul(countTo(g, g.dim('batch')), g.dim('sequence')), place);
}

/** @throws VersusError `usage` when a size is impossible; names the field. */
export function checkClipText(model: string, text: ClipText): void {
  const where = `${model}, text tower`;
  checkTower(where, text);
  checkSizes(where, { vocabulary: text.vocabulary, context: text.context });
}
