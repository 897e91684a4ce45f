import type { Graph } from '../core/graph.ts';
import type { Parts } from '../core/model.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { type BartConfig, buildBart } from './bart.ts';
import { checkDepths, checkOnly, checkSizes } from './check.ts';
import { checkDavitTower, type DavitTower, davitGrid, davitTower } from './davit.ts';
import { type Pixels, toImage } from './davit-blocks.ts';
import { EMBEDDING, layerNorm, linear, toRows } from './layers.ts';

/**
 * Florence-2: DaViT looks at the image, its last grid becomes a prefix of the prompt, and BART answers. Boxes, polygons and
 * captions are all written as text. Source: Xiao et al., "Florence-2: Advancing a unified representation for a variety of
 * vision tasks" (2023); names and details as in `modeling_florence2.py` of microsoft/Florence-2-* and of transformers.
 */
export interface Florence2Config {
  readonly vision: DavitTower;
  /** Rows and columns that the learnt 2-D positions have; the grid may be smaller. */
  readonly places: number;
  /** Frames that the sinusoid over time has; an image is the first. */
  readonly frames: number;
  /** What of the grid becomes image tokens, in order: its average, or all of its pixels. */
  readonly sources: readonly ('average' | 'pixels')[];
  readonly text: BartConfig;
  /** Whose checkpoint's tensor names. */
  readonly naming: Florence2Naming;
  /** The token whose places the image takes (transformers); null: the image comes before the prompt (Microsoft). */
  readonly imageToken: number | null;
  /** Also put out the tower's grid, as tokens and as an image. */
  readonly taps?: boolean;
}

export type Florence2Naming = 'microsoft' | 'transformers';

interface Names {
  readonly positions: string;
  readonly time: string;
  readonly norm: string;
  /** Of BART's stacks. */
  readonly text: string;
  readonly parts: Parts;
}

const crossAttention = (text: string): readonly string[] =>
  ['encoder_attn', 'encoder_attn_layer_norm'].map((part) => `${text}decoder.layers.*.${part}`);

const NAMES: Readonly<Record<Florence2Naming, Names>> = {
  microsoft: {
    positions: 'image_pos_embed',
    time: 'visual_temporal_embed.pos_idx_to_embed',
    norm: 'image_proj_norm',
    text: 'language_model.model.',
    parts: {
      vision: ['vision_tower'],
      text: ['language_model'],
      'cross-modal': [
        ...['image_projection', 'image_proj_norm', 'image_pos_embed', 'visual_temporal_embed'],
        ...crossAttention('language_model.model.'),
      ],
    },
  },
  transformers: {
    positions: 'model.multi_modal_projector.image_position_embed',
    time: 'model.multi_modal_projector.visual_temporal_embed.pos_idx_to_embed',
    norm: 'model.multi_modal_projector.image_proj_norm',
    text: 'model.language_model.',
    parts: {
      vision: ['model.vision_tower'],
      text: ['model.language_model', 'lm_head', 'final_logits_bias'],
      'cross-modal': ['model.multi_modal_projector', ...crossAttention('model.language_model.')],
    },
  },
};

/** Prefix of the language model's stacks. */
export function florence2Text(naming: Florence2Naming): string {
  return NAMES[naming].text;
}

/** Parts that can be trained apart. Cross-attention is where text meets image, so it counts as cross-modal. */
export function florence2Parts(naming: Florence2Naming): Parts {
  return NAMES[naming].parts;
}

/**
 * `vision`: pixel_values [batch, channels, H, W] → image_features [batch, tokens, width]; `embed`, `encoder` and `decoder`
 * as in `buildBart`. The host puts the features before the embedded prompt, or in place of image tokens.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildFlorence2(config: Florence2Config): Record<string, Graph> {
  check(config);
  return { vision: visionGraph(config), ...buildBart(config.text) };
}

function visionGraph(config: Florence2Config): Graph {
  const { vision, text, naming } = config;
  const g = new GraphBuilder('florence2.vision');
  const image = g.input('pixel_values', 'float32', ['batch', vision.channels, ...vision.image]);
  const seen = g.scope('tower', () => davitTower(g, image, vision));
  const pixels = seen.grid.height * seen.grid.width;
  if (config.taps) {
    g.output('vision_features', g.reshape(seen.rows, ['batch', pixels, seen.width]));
    g.output('vision_last_hidden_state', toImage(g, seen));
  }
  g.scope('projector', () => {
    const placed = g.reshape(placedInSpaceAndTime(g, seen, config), ['batch', pixels, seen.width]);
    const average = () => g.reduceMean(placed, [1]);
    const tokens = config.sources.map((source) => (source === 'average' ? average() : placed));
    const all = tokens.length === 1 ? tokens[0]! : g.concat(tokens, 1);
    const projected = project(g, toRows(g, all), seen.width, config);
    const normed = layerNorm(g, projected, NAMES[naming].norm, text.width, text.eps);
    g.output('image_features', g.reshape(normed, ['batch', Number(all.shape[1]), text.width]));
  });
  return g.build();
}

/**
 * The grid plus its positions, [batch, height, width, channels]: the first half of the channels tells the column, the second
 * the row; all of them tell the frame.
 */
function placedInSpaceAndTime(
  g: GraphBuilder,
  { rows, grid, width }: Pixels,
  config: Florence2Config,
): Value {
  const { places, frames } = config;
  const names = NAMES[config.naming];
  const { height, width: columns } = grid;
  const half = Math.floor(width / 2);
  const learnt = (axis: string, to: number, count: number) =>
    g.slice(
      g.param(`${names.positions}.${axis}_embeddings.weight`, [places, to], EMBEDDING),
      [0],
      [count],
      [0],
    );
  const across = g.unsqueeze(learnt('column', width - half, columns), [0]);
  const down = g.unsqueeze(learnt('row', half, height), [1]);
  const space = g.concat(
    [
      g.expand(across, g.ints([height, columns, width - half])),
      g.expand(down, g.ints([height, columns, half])),
    ],
    2,
  );
  const zeros = { kind: 'constant', value: 0 } as const;
  const time = g.slice(g.param(names.time, [frames, width], zeros, { role: 'buffer' }), [0], [1], [0]);
  return g.add(g.reshape(rows, ['batch', height, columns, width]), g.add(space, time));
}

/** Rows of the tower's width to rows of the language model's. Microsoft's matrix is [tower, text], transformers' [text, tower]. */
function project(g: GraphBuilder, rows: Value, from: number, { text, naming }: Florence2Config): Value {
  const to = text.width;
  if (naming === 'transformers') {
    return linear(g, rows, 'model.multi_modal_projector.image_projection', { from, to, bias: false });
  }
  return g.gemm(rows, g.param('image_projection', [from, to], { kind: 'uniform', std: 1 / Math.sqrt(from) }));
}

function check(config: Florence2Config): void {
  const model = 'florence2';
  const { vision, places, frames, sources, text, naming } = config;
  checkDavitTower(model, vision);
  checkOnly(model, ['naming', 'vision.naming'], vision.naming, naming);
  checkSizes(model, { frames, 'floor(vision width / 2)': Math.floor(vision.stages.at(-1)!.width / 2) });
  const { height, width } = davitGrid(vision);
  checkSizes(model, { places });
  checkSizes(model, { 'places - grid': places - Math.max(height, width) + 1 });
  checkDepths(model, { 'sources.length': sources.length });
  checkSizes(model, { 'text.width': text.width });
  if (config.imageToken !== null)
    checkSizes(model, { 'imageToken + 1': config.imageToken + 1 }, text.vocabulary);
}
