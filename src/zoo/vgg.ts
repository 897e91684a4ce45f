import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkDepths, checkRemains, checkSizes } from './check.ts';
import { batchNorm, conv, linear } from './layers.ts';
import { adaptiveAveragePool } from './pooling.ts';

/**
 * VGG: depth out of one small part. 3×3 convolutions with ReLU keep the size, max pooling halves it, and three fully
 * connected layers classify. The later variants put batch normalisation behind every convolution.
 * Sources: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition" (2014); torchvision's
 * `vgg.py` for the normalised variants and for images of other sizes.
 */
export interface VggConfig {
  /** Height and width of the images. */
  readonly image: readonly [height: number, width: number];
  readonly channels: number;
  /** In order: the width of a convolution, or `M` for max pooling. */
  readonly layers: readonly (number | 'M')[];
  readonly batchNorm: boolean;
  /** The feature map is averaged to this size before the fully connected layers. */
  readonly pool: readonly [height: number, width: number];
  /** Width of the two hidden fully connected layers. */
  readonly hidden: number;
  readonly classes: number;
}

/**
 * `model`: pixel_values [batch, channels, H, W] → logits [batch, classes]. Tensor names are torchvision's.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildVgg(config: VggConfig): Record<string, Graph> {
  check(config);
  const g = new GraphBuilder('vgg');
  const image = g.input('pixel_values', 'float32', ['batch', config.channels, ...config.image]);
  const x = g.scope('features', () => features(g, image, config));
  const pooled = g.scope('pool', () => g.flatten(adaptiveAveragePool(g, x, config.pool), 1));
  const { hidden, classes } = config;
  g.scope('classifier', () => {
    const from = Number(pooled.shape[1]);
    const first = g.relu(linear(g, pooled, 'classifier.0', { from, to: hidden }));
    const second = g.relu(linear(g, first, 'classifier.3', { from: hidden, to: hidden }));
    g.output('logits', linear(g, second, 'classifier.6', { from: hidden, to: classes }));
  });
  return { model: g.build() };
}

/** Checkpoints count what has no tensors too: each ReLU and each pooling takes a number. */
function features(g: GraphBuilder, image: Value, config: VggConfig): Value {
  let x = image;
  let place = 0;
  for (const layer of config.layers) {
    if (layer === 'M') {
      x = g.maxPool(x, [2, 2], { strides: [2, 2] });
      place += 1;
      continue;
    }
    const from = Number(x.shape[1]);
    x = conv(g, x, `features.${place}`, { from, to: layer, kernel: [3, 3], stride: [1, 1], pad: 1 });
    if (config.batchNorm) x = batchNorm(g, x, `features.${place + 1}`, layer, 1e-5);
    x = g.relu(x);
    place += config.batchNorm ? 3 : 2;
  }
  return x;
}

/** Height and width of the feature map that an image leaves; below 1 where the image is too small. */
export function vggGrid(image: VggConfig['image'], layers: VggConfig['layers']): readonly number[] {
  const halvings = layers.filter((layer) => layer === 'M').length;
  return image.map((side) => Math.floor(side / 2 ** halvings));
}

function check({ image, channels, layers, pool, hidden, classes }: VggConfig): void {
  const sizes: Record<string, number> = { channels, hidden, classes };
  layers.forEach((layer, i) => {
    if (layer !== 'M') sizes[`layers[${i}]`] = layer;
  });
  checkDepths('vgg', { 'layers.length': layers.length });
  checkSizes('vgg', sizes);
  checkSizes('vgg', { 'image[0]': image[0], 'image[1]': image[1] }, 1 << 14);
  checkSizes('vgg', { 'pool[0]': pool[0], 'pool[1]': pool[1] }, 64);
  const left = vggGrid(image, layers);
  image.forEach((side, axis) => {
    checkRemains('vgg', `image[${axis}]`, side, left[axis]!);
  });
}
