import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { addDims, mulDims } from '../graph/dims.ts';
import { checkOnly, checkSizes } from './check.ts';
import { type ClipVision, checkClipVision, clipVisionEncoder } from './clip.ts';
import { checkFeatureLayer, layersRead, withoutClassToken, withUnreadLayers } from './clip-features.ts';
import { buildSplicedDecoder, type DecoderConfig } from './decoder.ts';
import { activate, EMBEDDING, linear, toRows } from './layers.ts';

/**
 * Phi-3.5-vision: CLIP's tower sees an image as a grid of crops and once as a whole; four neighbouring patches become one
 * token, learnt separators end every row of the grid and stand between grid and whole, and two linear layers turn all of
 * them into token embeddings. Source: Abdin et al., "Phi-3 technical report" (2024); the arrangement is that of
 * InternLM-XComposer2-4KHD (Dong et al., 2024), as in `image_embedding_phi3_v.py` of the published checkpoint.
 */
export interface Phi3VisionConfig {
  /** Its image is a crop: a square of an even number of patches a side. */
  readonly vision: ClipVision;
  /** Which of the tower's hidden states is read: 0 is the embeddings, negative ones count from the last, -1. */
  readonly featureLayer: number;
  /** The whole image comes before its crops; published checkpoints have it behind them. */
  readonly globalFirst: boolean;
  readonly text: DecoderConfig;
  /** Also put out the tower's patch features. */
  readonly taps?: boolean;
}

const EMBEDDER = 'model.vision_embed_tokens';
const TOWER = `${EMBEDDER}.img_processor.vision_model`;

/**
 * `vision`: global_view [batch, channels, side, side], crops [batch, rows, columns, channels, side, side] →
 * image_features [batch, tokens, width], with n = side ÷ patch ÷ 2 tokens along a crop rows·n·(columns·n + 1) + 1 +
 * n·(n + 1); with taps clip_features [batch, 1 + rows·columns, patches, vision width], the whole first. `embed` and
 * `decoder` as of LLaVA.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildPhi3Vision(config: Phi3VisionConfig): Record<string, Graph> {
  checkPhi3Vision(config);
  return { vision: visionGraph(config), ...buildSplicedDecoder(config.text, '') };
}

function visionGraph(config: Phi3VisionConfig): Graph {
  const { vision, text } = config;
  const g = new GraphBuilder('phi3.vision');
  const view = [vision.channels, ...vision.image];
  const whole = g.input('global_view', 'float32', ['batch', ...view]);
  const crops = g.input('crops', 'float32', ['batch', 'rows', 'columns', ...view]);

  const grids = g.scope('tower', () => {
    const rest = g.reshape(crops, ['batch', 'rows*columns', ...view]);
    const views = g.concat([g.unsqueeze(whole, [1]), rest], 1);
    const count = views.shape[1]!;
    const images = g.reshape(views, [mulDims('batch', count), ...view]);
    const hidden = clipVisionEncoder(g, images, vision, TOWER, layersRead(vision, config.featureLayer));
    const patches = withoutClassToken(g, hidden);
    if (config.taps) {
      const perImage = g.reshape(patches, ['batch', count, patches.shape[1]!, vision.width]);
      g.output('clip_features', g.identity(perImage));
    }
    const n = tokensPerSide(vision);
    return g.reshape(mergeNeighbours(g, patches, n, vision.width), ['batch', count, n, n, 4 * vision.width]);
  });
  const tokens = g.scope('arrange', () => arrange(g, grids, config));
  g.scope('projector', () => {
    const hidden = linear(g, toRows(g, tokens), `${EMBEDDER}.img_projection.0`, {
      from: 4 * vision.width,
      to: text.width,
    });
    const features = linear(g, activate(g, hidden, 'gelu'), `${EMBEDDER}.img_projection.2`, {
      from: text.width,
      to: text.width,
    });
    g.output('image_features', g.reshape(features, ['batch', tokens.shape[1]!, text.width]));
  });
  return withUnreadLayers(g.build(), vision, TOWER);
}

/** Tokens along one side of a crop: half as many as patches. */
function tokensPerSide({ image, patch }: ClipVision): number {
  return Math.floor(image[0] / patch[0]) / 2;
}

/** Four patches of a 2 × 2 square side by side: [images, (2n)², width] → [images · n, n, 2, 2 · width]. */
function mergeNeighbours(g: GraphBuilder, patches: Value, n: number, width: number): Value {
  const squares = g.reshape(patches, [mulDims(patches.shape[0]!, n), 2, n, 2 * width]);
  return g.transpose(squares, [0, 2, 1, 3]);
}

/**
 * The token grids of the views, [batch, 1 + rows·columns, n, n, width], as one sequence [batch, tokens, width]: the crops
 * put together to one grid of rows·n × columns·n and read row by row, a separator, the whole read likewise.
 */
function arrange(g: GraphBuilder, grids: Value, config: Phi3VisionConfig): Value {
  const n = tokensPerSide(config.vision);
  const width = 4 * config.vision.width;
  const endOfRow = g.param(`${EMBEDDER}.sub_GN`, [1, 1, 1, width], EMBEDDING);
  const between = g.param(`${EMBEDDER}.glb_GN`, [1, 1, width], EMBEDDING);

  const crops = g.slice(grids, [1], [Number.POSITIVE_INFINITY], [1]);
  const inPlace = g.reshape(crops, ['batch', 'rows', 'columns', n, n * width]);
  const joined = g.reshape(g.transpose(inPlace, [0, 1, 3, 2, 4]), [
    'batch',
    'rows',
    n,
    `${n}*columns`,
    width,
  ]);
  const separated = g.concat([joined, g.expand(endOfRow, g.dims(['batch', 'rows', n, 1, width]))], 3);
  const perRow = addDims(mulDims('columns', n), 1);
  const grid = g.reshape(separated, ['batch', mulDims(mulDims('rows', n), perRow), width]);

  const whole = g.slice(grids, [0], [1], [1]);
  const ends = g.expand(endOfRow, g.dims(['batch', 1, n, 1, width]));
  const view = g.reshape(g.concat([whole, ends], 3), ['batch', n * (n + 1), width]);

  const separator = g.expand(between, g.dims(['batch', 1, width]));
  return g.concat(config.globalFirst ? [view, separator, grid] : [grid, separator, view], 1);
}

function checkPhi3Vision({ vision, featureLayer }: Phi3VisionConfig): void {
  checkClipVision('phi3-vision', vision);
  checkFeatureLayer('phi3-vision', vision, featureLayer);
  const [rows, columns] = [0, 1].map((i) => vision.image[i]! / vision.patch[i]!);
  checkOnly(
    'phi3-vision',
    ['patch', 'as many patches across'],
    String(Math.floor(columns!)),
    String(Math.floor(rows!)),
  );
  checkSizes('phi3-vision', { 'floor(image / patch) / 2': Math.floor(rows!) / 2 });
}
