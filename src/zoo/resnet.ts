import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkDepths, checkSizes } from './check.ts';
import { type Activation, activate, batchNorm, conv, linear } from './layers.ts';

/**
 * Residual networks: a strided stem, four stages of residual blocks, average pooling, one linear layer.
 * Sources: He et al., "Deep residual learning for image recognition" (2015); the stride of a bottleneck sits in its 3×3
 * convolution, as in torchvision ("v1.5") and transformers, unless `strideInReduction`.
 */
export interface ResNetConfig {
  /** `basic`: two 3×3 convolutions; `bottleneck`: 1×1 to a quarter of the width, 3×3, 1×1 back. */
  readonly block: 'basic' | 'bottleneck';
  /** Height and width of the images. */
  readonly image: readonly [height: number, width: number];
  readonly channels: number;
  readonly stemWidth: number;
  /** Channels that each stage puts out. */
  readonly widths: readonly number[];
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  readonly classes: number;
  readonly activation: Activation;
  /** The first stage halves the resolution too. */
  readonly strideInFirstStage: boolean;
  /** The stride of a bottleneck sits in its first 1×1 convolution, as in the paper ("v1"). */
  readonly strideInReduction: boolean;
  /** Whose checkpoint's tensor names. */
  readonly naming: 'transformers' | 'torchvision';
  /** Also put out the last feature map, `last_hidden_state`. */
  readonly taps?: boolean;
}

/** The two tensors' prefixes of a convolution and of the normalisation behind it. */
type ConvNorm = readonly [conv: string, norm: string];
interface Names {
  readonly stem: ConvNorm;
  conv(stage: number, block: number, index: number): ConvNorm;
  shortcut(stage: number, block: number): ConvNorm;
  readonly classifier: string;
}

const NAMES: Record<ResNetConfig['naming'], Names> = {
  transformers: {
    stem: pair('resnet.embedder.embedder'),
    conv: (s, b, i) => pair(`resnet.encoder.stages.${s}.layers.${b}.layer.${i}`),
    shortcut: (s, b) => pair(`resnet.encoder.stages.${s}.layers.${b}.shortcut`),
    classifier: 'classifier.1',
  },
  torchvision: {
    stem: ['conv1', 'bn1'],
    conv: (s, b, i) => [`layer${s + 1}.${b}.conv${i + 1}`, `layer${s + 1}.${b}.bn${i + 1}`],
    shortcut: (s, b) => [`layer${s + 1}.${b}.downsample.0`, `layer${s + 1}.${b}.downsample.1`],
    classifier: 'fc',
  },
};

function pair(prefix: string): ConvNorm {
  return [`${prefix}.convolution`, `${prefix}.normalization`];
}

/**
 * `model`: pixel_values [batch, channels, H, W] → logits [batch, classes].
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildResNet(config: ResNetConfig): Record<string, Graph> {
  check(config);
  const g = new GraphBuilder('resnet');
  const names = NAMES[config.naming];
  const image = g.input('pixel_values', 'float32', ['batch', config.channels, ...config.image]);

  let x = g.scope('stem', () => {
    const strided = convNorm(g, image, names.stem, {
      from: config.channels,
      to: config.stemWidth,
      kernel: 7,
      stride: 2,
    });
    return g.maxPool(activate(g, strided, config.activation), [3, 3], {
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    });
  });
  let width = config.stemWidth;
  config.depths.forEach((depth, stage) => {
    const to = config.widths[stage]!;
    for (let block = 0; block < depth; block++) {
      const halves = block === 0 && (stage > 0 || config.strideInFirstStage);
      x = g.scope(`stages.${stage}.blocks.${block}`, () =>
        residualBlock(g, x, config, { stage, block, from: width, to, stride: halves ? 2 : 1 }),
      );
      width = to;
    }
  });
  if (config.taps) g.output('last_hidden_state', x);
  g.scope('head', () => {
    const pooled = g.flatten(g.globalAveragePool(x), 1);
    g.output('logits', linear(g, pooled, names.classifier, { from: width, to: config.classes }));
  });
  return { model: g.build() };
}

interface Place {
  readonly stage: number;
  readonly block: number;
  readonly from: number;
  readonly to: number;
  readonly stride: number;
}

/** activation(x + f(x)); the shortcut is projected where the shape changes. */
function residualBlock(g: GraphBuilder, x: Value, config: ResNetConfig, place: Place): Value {
  const { stage, block, from, to, stride } = place;
  const names = NAMES[config.naming];
  const layers =
    config.block === 'basic'
      ? [
          { from, to, kernel: 3, stride },
          { from: to, to, kernel: 3, stride: 1 },
        ]
      : bottleneck(from, to, stride, config.strideInReduction);
  let branch = x;
  layers.forEach((layer, i) => {
    const last = i === layers.length - 1;
    // A branch that adds little keeps seeded activations of 50 blocks within the range of float16.
    const gain = last ? 0.25 : 1;
    branch = convNorm(g, branch, names.conv(stage, block, i), { ...layer, gain });
    if (!last) branch = activate(g, branch, config.activation);
  });
  const projects = from !== to || stride !== 1;
  const shortcut = projects
    ? convNorm(g, x, names.shortcut(stage, block), { from, to, kernel: 1, stride })
    : x;
  return activate(g, g.add(branch, shortcut), config.activation);
}

function bottleneck(from: number, to: number, stride: number, strideInReduction: boolean) {
  const inner = Math.floor(to / 4);
  return [
    { from, to: inner, kernel: 1, stride: strideInReduction ? stride : 1 },
    { from: inner, to: inner, kernel: 3, stride: strideInReduction ? 1 : stride },
    { from: inner, to, kernel: 1, stride: 1 },
  ];
}

interface ConvShape {
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly stride: number;
  readonly gain?: number;
}

/** Convolution without bias that keeps the size (up to its stride), then batch normalisation. */
function convNorm(g: GraphBuilder, x: Value, [convName, normName]: ConvNorm, shape: ConvShape): Value {
  const { from, to, kernel, stride, gain = 1 } = shape;
  const y = conv(g, x, convName, {
    ...{ from, to, kernel: [kernel, kernel], stride: [stride, stride], pad: Math.floor(kernel / 2) },
    ...{ bias: false, gain },
  });
  return batchNorm(g, y, normName, to, 1e-5);
}

function check(config: ResNetConfig): void {
  const { image, channels, stemWidth, classes, widths, depths } = config;
  const sizes: Record<string, number> = {
    channels,
    stemWidth,
    classes,
    'image[0]': image[0],
    'image[1]': image[1],
  };
  const counts: Record<string, number> = { 'depths.length': depths.length };
  depths.forEach((depth, i) => {
    const width = widths[i] ?? Number.NaN;
    counts[`depths[${i}]`] = depth;
    sizes[`widths[${i}]`] = width;
    // The inner width of a bottleneck is a quarter, rounded down, and must not vanish.
    if (config.block === 'bottleneck') sizes[`floor(widths[${i}] / 4)`] = Math.floor(width / 4);
  });
  checkDepths('resnet', counts);
  checkSizes('resnet', sizes);
}
