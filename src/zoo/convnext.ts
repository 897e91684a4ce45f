import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { mulDims } from '../graph/dims.ts';
import { checkDepths, checkPositive, checkRemains, checkSizes } from './check.ts';
import { type Activation, activate, conv, LAYER_SCALE, layerNorm, linear } from './layers.ts';

/**
 * ConvNeXt: a convolutional network with the design of a vision transformer. A block mixes space by a depthwise 7×7
 * convolution, then channels by two linear layers four times as wide inside, behind one LayerNorm; its result is scaled by
 * channel and added. Four stages, with a strided convolution between them.
 * Source: Liu et al., "A ConvNet for the 2020s" (2022); eps and names as in transformers' ConvNextModel and torchvision.
 *
 * The stream is kept as rows, [batch × height × width, channels], which is what norms and linear layers work on; only
 * convolutions look at it as [batch, channels, height, width].
 */
export interface ConvNextConfig {
  /** Height and width of the images. */
  readonly image: readonly [height: number, width: number];
  /** Kernel and stride of the first convolution. */
  readonly patch: readonly [height: number, width: number];
  readonly channels: number;
  /** Channels of each stage. */
  readonly widths: readonly number[];
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  readonly classes: number;
  readonly activation: Activation;
  /** Blocks have a learnt scale per channel. */
  readonly layerScale: boolean;
  /** Epsilon of the last norm; all others have 1e-6. */
  readonly headEps: number;
  /** Whose checkpoint's tensor names. */
  readonly naming: 'transformers' | 'torchvision';
  /** Also put out the last feature map, `last_hidden_state` [batch, channels, height, width]. */
  readonly taps?: boolean;
}

const EPS = 1e-6;

/** Prefixes of the tensors, the layer scale's whole name. */
interface BlockNames {
  readonly spatial: string;
  readonly norm: string;
  readonly expand: string;
  readonly contract: string;
  readonly scale: string;
}
interface Names {
  readonly stem: string;
  readonly stemNorm: string;
  downsample(stage: number): { readonly norm: string; readonly conv: string };
  block(stage: number, block: number): BlockNames;
  /** Dimensions of a layer scale. */
  scale(width: number): readonly number[];
  readonly norm: string;
  readonly classifier: string;
}

const NAMES: Record<ConvNextConfig['naming'], Names> = {
  transformers: {
    stem: 'convnext.embeddings.patch_embeddings',
    stemNorm: 'convnext.embeddings.layernorm',
    downsample: (stage) => {
      const prefix = `convnext.encoder.stages.${stage}.downsampling_layer`;
      return { norm: `${prefix}.0`, conv: `${prefix}.1` };
    },
    block: (stage, block) => {
      const prefix = `convnext.encoder.stages.${stage}.layers.${block}`;
      return {
        ...{ spatial: `${prefix}.dwconv`, norm: `${prefix}.layernorm` },
        ...{ expand: `${prefix}.pwconv1`, contract: `${prefix}.pwconv2` },
        scale: `${prefix}.layer_scale_parameter`,
      };
    },
    scale: (width) => [width],
    norm: 'convnext.layernorm',
    classifier: 'classifier',
  },
  torchvision: {
    stem: 'features.0.0',
    stemNorm: 'features.0.1',
    downsample: (stage) => ({ norm: `features.${2 * stage}.0`, conv: `features.${2 * stage}.1` }),
    block: (stage, block) => {
      const prefix = `features.${2 * stage + 1}.${block}`;
      return {
        ...{ spatial: `${prefix}.block.0`, norm: `${prefix}.block.2` },
        ...{ expand: `${prefix}.block.3`, contract: `${prefix}.block.5` },
        scale: `${prefix}.layer_scale`,
      };
    },
    scale: (width) => [width, 1, 1],
    norm: 'classifier.0',
    classifier: 'classifier.2',
  },
};

/** A feature map as rows, and the size of its grid. */
interface Features {
  readonly rows: Value;
  readonly grid: readonly [height: number, width: number];
  readonly width: number;
}

/**
 * `model`: pixel_values [batch, channels, H, W] → logits [batch, classes].
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildConvNext(config: ConvNextConfig): Record<string, Graph> {
  check(config);
  const g = new GraphBuilder('convnext');
  const names = NAMES[config.naming];
  const image = g.input('pixel_values', 'float32', ['batch', config.channels, ...config.image]);

  let x = g.scope('stem', () => {
    const to = config.widths[0]!;
    const shape = { from: config.channels, to, kernel: config.patch, stride: config.patch };
    const patches = toRows(g, conv(g, image, names.stem, shape));
    return { ...patches, rows: layerNorm(g, patches.rows, names.stemNorm, to, EPS) };
  });
  config.depths.forEach((depth, stage) => {
    if (stage > 0) {
      const layer = names.downsample(stage);
      x = g.scope(`stages.${stage}.downsample`, () => downsample(g, x, layer, config.widths[stage]!));
    }
    for (let i = 0; i < depth; i++) {
      const rows = g.scope(`stages.${stage}.blocks.${i}`, () => block(g, x, config, names.block(stage, i)));
      x = { ...x, rows };
    }
  });
  if (config.taps) g.output('last_hidden_state', toMap(g, x));
  g.scope('head', () => {
    const places = x.grid[0] * x.grid[1];
    const pooled = g.reduceMean(g.reshape(x.rows, ['batch', places, x.width]), [1], false);
    const normed = layerNorm(g, pooled, names.norm, x.width, config.headEps);
    g.output('logits', linear(g, normed, names.classifier, { from: x.width, to: config.classes }));
  });
  return { model: g.build() };
}

/** x + scale · mlp(norm(depthwise(x))). */
function block(g: GraphBuilder, x: Features, config: ConvNextConfig, names: BlockNames): Value {
  const { width } = x;
  const inner = 4 * width;
  const depthwise = {
    from: width,
    to: width,
    kernel: [7, 7],
    stride: [1, 1],
    pad: 3,
    groups: width,
  } as const;
  const mixed = toRows(g, conv(g, toMap(g, x), names.spatial, depthwise)).rows;
  const normed = layerNorm(g, mixed, names.norm, width, EPS);
  const hidden = activate(g, linear(g, normed, names.expand, { from: width, to: inner }), config.activation);
  const branch = linear(g, hidden, names.contract, { from: inner, to: width });
  return g.add(x.rows, config.layerScale ? scaled(g, branch, names.scale, config) : branch);
}

function scaled(g: GraphBuilder, branch: Value, name: string, config: ConvNextConfig): Value {
  const width = Number(branch.shape[1]);
  const shape = NAMES[config.naming].scale(width);
  const scale = g.param(name, shape, LAYER_SCALE);
  return g.mul(branch, shape.length === 1 ? scale : g.reshape(scale, [width]));
}

/** Half the height and width, rounded down, behind a norm. */
function downsample(
  g: GraphBuilder,
  x: Features,
  names: { norm: string; conv: string },
  to: number,
): Features {
  const rows = layerNorm(g, x.rows, names.norm, x.width, EPS);
  const shape = { from: x.width, to, kernel: [2, 2], stride: [2, 2] } as const;
  return toRows(g, conv(g, toMap(g, { ...x, rows }), names.conv, shape));
}

function toMap(g: GraphBuilder, { rows, grid, width }: Features): Value {
  return g.transpose(g.reshape(rows, ['batch', ...grid, width]), [0, 3, 1, 2]);
}

function toRows(g: GraphBuilder, map: Value): Features {
  const [batch = 1, width, ...grid] = map.shape;
  const [height, across] = grid.map(Number) as [number, number];
  const rows = g.reshape(g.transpose(map, [0, 2, 3, 1]), [mulDims(batch, height * across), Number(width)]);
  return { rows, grid: [height, across], width: Number(width) };
}

/** Height and width of the last feature map; below 1 where the image is too small. */
export function convNextGrid({
  image,
  patch,
  depths,
}: Pick<ConvNextConfig, 'image' | 'patch' | 'depths'>): readonly number[] {
  return image.map((side, axis) => Math.floor(side / patch[axis]! / 2 ** (depths.length - 1)));
}

function check(config: ConvNextConfig): void {
  const { image, patch, channels, classes, widths, depths, headEps } = config;
  const sizes: Record<string, number> = {
    ...{ channels, classes, 'patch[0]': patch[0], 'patch[1]': patch[1] },
    ...{ 'image[0]': image[0], 'image[1]': image[1] },
  };
  const counts: Record<string, number> = { 'depths.length': depths.length };
  depths.forEach((depth, i) => {
    counts[`depths[${i}]`] = depth;
    sizes[`widths[${i}]`] = widths[i] ?? Number.NaN;
  });
  checkDepths('convnext', counts);
  checkSizes('convnext', sizes);
  checkPositive('convnext', { headEps });
  const left = convNextGrid(config);
  image.forEach((side, axis) => {
    checkRemains('convnext', `image[${axis}]`, side, left[axis]!);
  });
}
