import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkDepths, checkDivides, checkPositive, checkSizes, checkWhole } from './check.ts';
import { type ChannelForm, davitBlock, fromImage, type Grid, type Pixels, toImage } from './davit-blocks.ts';
import { DAVIT_NAMES, type DavitAttention, type DavitNaming } from './davit-names.ts';
import { type Activation, layerNorm, linear } from './layers.ts';

/**
 * Dual attention vision transformers: four stages of a shrinking, widening grid; in each, blocks whose pixels attend to one
 * another within a window alternate with blocks whose channels attend to one another over the whole image, so that the cost
 * is linear in pixels. Source: Ding et al., "DaViT: Dual attention vision transformers" (2022); details as in timm's
 * `davit.py` and in Florence-2's tower (`modeling_florence2.py` of the published checkpoints).
 */
export interface DavitTower {
  readonly image: readonly [height: number, width: number];
  readonly channels: number;
  readonly stages: readonly DavitStage[];
  /** The blocks that alternate, in order. */
  readonly attentions: readonly DavitAttention[];
  readonly window: number;
  readonly channelForm: ChannelForm;
  readonly eps: number;
  readonly activation: Activation;
  readonly qkvBias: boolean;
  /** GELU behind the position convolutions. */
  readonly positionActivation: boolean;
  /** Whose checkpoint's tensor names. */
  readonly naming: DavitNaming;
}

export interface DavitStage {
  readonly width: number;
  readonly depth: number;
  /** Of spatial attention. */
  readonly heads: number;
  /** Of channels. */
  readonly groups: number;
  /** Null: blocks without an MLP. */
  readonly mlpWidth: number | null;
  /** The convolution that makes this stage's grid. */
  readonly patch: {
    readonly kernel: number;
    readonly stride: number;
    /** Zeros on every side. */
    readonly pad: number;
    /** Before that, zeros at the bottom and the right up to a multiple of this; 1 adds none. */
    readonly fill: number;
    /** The norm comes before the convolution. */
    readonly normFirst: boolean;
  };
}

export interface DavitConfig extends DavitTower {
  readonly classes: number;
  /** Also put out the last grid, `forward_features`. */
  readonly taps?: boolean;
}

/**
 * `model`: pixel_values [batch, channels, H, W] → logits [batch, classes].
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildDavit(config: DavitConfig): Record<string, Graph> {
  checkDavitTower('davit', config);
  checkSizes('davit', { classes: config.classes });
  const g = new GraphBuilder('davit');
  const image = g.input('pixel_values', 'float32', ['batch', config.channels, ...config.image]);
  const features = davitTower(g, image, config);
  if (config.taps) g.output('forward_features', toImage(g, features));
  const { width, grid } = features;
  g.scope('head', () => {
    const pixels = g.reshape(features.rows, ['batch', grid.height * grid.width, width]);
    const pooled = layerNorm(g, g.reduceMean(pixels, [1], false), 'head.norm', width, config.eps);
    g.output('logits', linear(g, pooled, 'head.fc', { from: width, to: config.classes }));
  });
  return { model: g.build() };
}

/** An image [batch, channels, H, W] through all stages. */
export function davitTower(g: GraphBuilder, image: Value, tower: DavitTower): Pixels {
  const names = DAVIT_NAMES[tower.naming];
  let x: Pixels | null = null;
  tower.stages.forEach((stage, s) => {
    x = g.scope(`stages.${s}`, () => patches(g, x ?? image, tower, s));
    for (let depth = 0; depth < stage.depth; depth++) {
      tower.attentions.forEach((attention, place) => {
        const heads = attention === 'spatial' ? stage.heads : stage.groups;
        const block = { ...tower, attention, heads, mlpWidth: stage.mlpWidth };
        const scope = `stages.${s}.blocks.${depth}.${place}`;
        x = g.scope(scope, () => davitBlock(g, x!, names.block(s, depth, attention, place), block));
      });
    }
  });
  return x!;
}

/** A stage's grid from the grid before it, or from the image. */
function patches(g: GraphBuilder, from: Pixels | Value, tower: DavitTower, s: number): Pixels {
  const { width, patch } = tower.stages[s]!;
  const names = DAVIT_NAMES[tower.naming].patch(s);
  const before = 'rows' in from ? from : null;
  let image: Value;
  if (patch.normFirst) {
    const pixels = before ?? fromImage(g, from as Value);
    const rows = layerNorm(g, pixels.rows, names.norm, pixels.width, tower.eps);
    image = toImage(g, { ...pixels, rows });
  } else image = before ? toImage(g, before) : (from as Value);
  const [, channels = 0, height = 0, columns = 0] = image.shape.map(Number);
  const std = 1 / Math.sqrt(channels * patch.kernel ** 2);
  const weight = g.param(`${names.conv}.weight`, [width, channels, patch.kernel, patch.kernel], {
    kind: 'uniform',
    std,
  });
  const bias = g.param(`${names.conv}.bias`, [width], { kind: 'constant', value: 0 });
  const { pad, stride } = patch;
  const pads = [pad, pad, pad + filling(height, patch.fill), pad + filling(columns, patch.fill)];
  const made = fromImage(g, g.conv(image, weight, bias, { strides: [stride, stride], pads }));
  return patch.normFirst ? made : { ...made, rows: layerNorm(g, made.rows, names.norm, width, tower.eps) };
}

/** How much is missing to a multiple. */
function filling(size: number, multiple: number): number {
  return (multiple - (size % multiple)) % multiple;
}

/** The last stage's grid. */
export function davitGrid({ image, stages }: Pick<DavitTower, 'image' | 'stages'>): Grid {
  const side = (size: number) =>
    stages.reduce((n, { patch: { kernel, stride, pad, fill } }) => {
      return Math.floor((n + filling(n, fill) + 2 * pad - kernel) / stride) + 1;
    }, size);
  return { height: side(image[0]), width: side(image[1]) };
}

/** @throws VersusError `usage` naming the field whose size is impossible. */
export function checkDavitTower(model: string, tower: DavitTower): void {
  const { image, channels, stages, attentions, window, eps } = tower;
  checkSizes(model, { 'image[0]': image[0], 'image[1]': image[1], channels, window });
  checkPositive(model, { eps });
  checkDepths(model, { 'stages.length': stages.length, 'attentions.length': attentions.length });
  stages.forEach((stage, s) => {
    const field = `stages[${s}]`;
    const { kernel, stride, pad, fill } = stage.patch;
    checkDepths(model, { [`${field}.depth`]: stage.depth });
    checkSizes(model, {
      ...{ [`${field}.width`]: stage.width, [`${field}.heads`]: stage.heads },
      ...{ [`${field}.groups`]: stage.groups, [`${field}.mlpWidth`]: stage.mlpWidth ?? 1 },
      ...{ [`${field}.patch.kernel`]: kernel, [`${field}.patch.stride`]: stride },
      [`${field}.patch.fill`]: fill,
    });
    checkWhole(model, { [`${field}.patch.pad`]: pad });
    checkDivides(model, [`${field}.heads`, stage.heads], [`${field}.width`, stage.width]);
    checkDivides(model, [`${field}.groups`, stage.groups], [`${field}.width`, stage.width]);
    const grid = davitGrid({ image, stages: stages.slice(0, s + 1) });
    checkSizes(model, { [`${field}.patch (rows)`]: grid.height, [`${field}.patch (columns)`]: grid.width });
  });
}
