import { featureShape, type HogFeatures, SIFT_LENGTH, type SiftFeatures } from '../core/features.ts';
import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkPositive, checkSizes } from './check.ts';
import { linear, toRows } from './layers.ts';

/*
 * What classified images before networks learnt their features: features by rule, made on the host (src/data/features.ts),
 * and a linear classifier, which is the graph. Both learn by convex optimisation, so weights come from any SVM or logistic
 * regression.
 */

/** A linear classifier on histograms of oriented gradients. Source: Dalal and Triggs (2005). */
export interface HogLinearConfig {
  readonly features: HogFeatures;
  readonly classes: number;
}

/**
 * A bag of visual words: every descriptor is shared out among the words of a codebook, their frequencies are classified.
 * Sources: Csurka et al., "Visual categorization with bags of keypoints" (2004); the soft shares are van Gemert et al.,
 * "Visual word ambiguity" (2010), section 3.2; the square root of the frequencies makes a linear classifier compare
 * histograms as Hellinger's kernel does (Vedaldi and Zisserman, "Efficient additive kernels", 2012).
 */
export interface BagOfWordsConfig {
  readonly features: SiftFeatures;
  /** Rows of the codebook: centres of a k-means over descriptors. */
  readonly words: number;
  /** σ of the Gaussian by which a descriptor of length 1 is shared out; small ones choose the nearest word. */
  readonly smoothing: number;
  readonly classes: number;
}

/**
 * `model`: features [batch, length] → logits [batch, classes], with `classifier.weight` and `classifier.bias`.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildHogLinear({ features, classes }: HogLinearConfig): Record<string, Graph> {
  const { height, width, cell, bins } = features;
  checkSizes('hog-linear', { height, width, cell, classes });
  checkSizes('hog-linear', { bins }, 180);
  // At least one block of 2 × 2 cells.
  checkSizes('hog-linear', { 'height / cell - 1': height / cell - 1, 'width / cell - 1': width / cell - 1 });
  const [length] = featureShape(features) as [number];
  const g = new GraphBuilder('hog-linear');
  const x = g.input('features', 'float32', ['batch', length]);
  g.output('logits', linear(g, x, 'classifier', { from: length, to: classes }));
  return { model: g.build() };
}

/**
 * `model`: features [batch, keypoints, 129] → logits [batch, classes], with `codebook.weight` [words, 128],
 * `classifier.weight` and `classifier.bias`. An image without keypoints gets the bias.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildBagOfWords(config: BagOfWordsConfig): Record<string, Graph> {
  const { features, words, smoothing, classes } = config;
  const { height, width, keypoints } = features;
  checkSizes('sift-bow', { height, width, keypoints, words, classes });
  // Keypoints keep five pixels from the border of the doubled image.
  checkSizes('sift-bow', { 'height - 5': height - 5, 'width - 5': width - 5 });
  checkPositive('sift-bow', { smoothing });
  const g = new GraphBuilder('sift-bow');
  const x = g.input('features', 'float32', ['batch', keypoints, SIFT_LENGTH + 1]);
  const [descriptors, present] = g.split(x, [SIFT_LENGTH, 1], 2) as [Value, Value];
  const shares = g.scope('words', () => wordShares(g, descriptors, config));
  const frequencies = g.scope('frequencies', () => {
    // [batch, 1, keypoints] · [batch, keypoints, words]: absent keypoints count nothing.
    const sums = g.reshape(g.matmul(g.transpose(present, [0, 2, 1]), shares), ['batch', words]);
    const count = g.maximum(g.reduceSum(g.reshape(present, ['batch', keypoints]), [1]), 1);
    return g.sqrt(g.div(sums, count));
  });
  g.output('logits', linear(g, frequencies, 'classifier', { from: words, to: classes }));
  return { model: g.build() };
}

/**
 * softmax over words of −‖x − word‖² ÷ 2σ², [batch, keypoints, words]. ‖x‖² is the same for every word and drops out.
 */
function wordShares(g: GraphBuilder, descriptors: Value, config: BagOfWordsConfig): Value {
  const { words, smoothing, features } = config;
  const codebook = g.param('codebook.weight', [words, SIFT_LENGTH], {
    ...{ kind: 'uniform', std: 1 / Math.sqrt(SIFT_LENGTH) },
  });
  const products = g.gemm(toRows(g, descriptors), codebook, null, { transB: 1 });
  const halfSquares = g.mul(g.reduceSum(g.mul(codebook, codebook), [1], false), 0.5);
  const closeness = g.mul(g.sub(products, halfSquares), 1 / smoothing ** 2);
  return g.reshape(g.softmax(closeness, -1), ['batch', features.keypoints, words]);
}
