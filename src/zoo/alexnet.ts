import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkRemains, checkSizes } from './check.ts';
import { conv, linear } from './layers.ts';
import { adaptiveAveragePool } from './pooling.ts';

/**
 * AlexNet, the network that won ImageNet in 2012: five convolutions with ReLU, the first with large strides, three of them
 * followed by overlapping max pooling; then three fully connected layers, which hold nearly all parameters.
 * Sources: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks" (2012), in the form for one
 * GPU of Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014), as torchvision builds it.
 */
export interface AlexNetConfig {
  /** Height and width of the images. */
  readonly image: readonly [height: number, width: number];
  readonly channels: number;
  /** Channels that each of the five convolutions puts out. */
  readonly widths: readonly [number, number, number, number, number];
  /** The feature map is averaged to this size before the fully connected layers. */
  readonly pool: readonly [height: number, width: number];
  /** Width of the two hidden fully connected layers. */
  readonly hidden: number;
  readonly classes: number;
}

/** Kernel, stride and padding of each convolution, its place in the checkpoint, and whether pooling follows. */
const LAYERS = [
  { name: 'features.0', kernel: 11, stride: 4, pad: 2, pools: true },
  { name: 'features.3', kernel: 5, stride: 1, pad: 2, pools: true },
  { name: 'features.6', kernel: 3, stride: 1, pad: 1, pools: false },
  { name: 'features.8', kernel: 3, stride: 1, pad: 1, pools: false },
  { name: 'features.10', kernel: 3, stride: 1, pad: 1, pools: true },
] as const;

/**
 * `model`: pixel_values [batch, channels, H, W] → logits [batch, classes]. Tensor names are torchvision's.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildAlexNet(config: AlexNetConfig): Record<string, Graph> {
  check(config);
  const g = new GraphBuilder('alexnet');
  let x = g.input('pixel_values', 'float32', ['batch', config.channels, ...config.image]);
  LAYERS.forEach(({ name, kernel, stride, pad, pools }, i) => {
    x = g.scope(name, () => {
      const [from, to] = [Number(x.shape[1]), config.widths[i]!];
      const shape = { from, to, kernel: [kernel, kernel], stride: [stride, stride], pad } as const;
      const features = g.relu(conv(g, x, name, shape));
      return pools ? g.maxPool(features, [3, 3], { strides: [2, 2] }) : features;
    });
  });
  const pooled = g.scope('pool', () => g.flatten(adaptiveAveragePool(g, x, config.pool), 1));
  g.output('logits', classify(g, pooled, config));
  return { model: g.build() };
}

/** Three fully connected layers; the dropout before the first two does nothing at inference. */
function classify(g: GraphBuilder, pooled: Value, { hidden, classes }: AlexNetConfig): Value {
  const from = Number(pooled.shape[1]);
  return g.scope('classifier', () => {
    const first = g.relu(linear(g, pooled, 'classifier.1', { from, to: hidden }));
    const second = g.relu(linear(g, first, 'classifier.4', { from: hidden, to: hidden }));
    return linear(g, second, 'classifier.6', { from: hidden, to: classes });
  });
}

/** Height and width of the feature map that an image leaves; below 1 where the image is too small. */
export function alexNetGrid(image: readonly [number, number]): readonly number[] {
  return image.map((side) => {
    let size = side;
    for (const { kernel, stride, pad, pools } of LAYERS) {
      size = Math.floor((size + 2 * pad - kernel) / stride) + 1;
      if (pools) size = Math.floor((size - 3) / 2) + 1;
    }
    return size;
  });
}

function check({ image, channels, widths, pool, hidden, classes }: AlexNetConfig): void {
  const sizes: Record<string, number> = { channels, hidden, classes };
  LAYERS.forEach((_, i) => {
    sizes[`widths[${i}]`] = widths[i] ?? Number.NaN;
  });
  checkSizes('alexnet', sizes);
  checkSizes('alexnet', { 'image[0]': image[0], 'image[1]': image[1] }, 1 << 14);
  checkSizes('alexnet', { 'pool[0]': pool[0], 'pool[1]': pool[1] }, 64);
  const left = alexNetGrid(image);
  image.forEach((side, axis) => {
    checkRemains('alexnet', `image[${axis}]`, side, left[axis]!);
  });
}
