import { float32, int64, tensor } from '../../core/tensor.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';
import { IGNORED } from './forward.ts';

/**
 * Mean cross-entropy of rows against labels, as torch counts it: labels of -100 neither add nor are counted.
 *
 * @param logits [rows, classes]
 * @param labels int64 [rows]
 * @param smoothing share of a label that all classes get alike: (1 − ε) · −log p(label) + ε · mean over classes of −log p
 *   (Szegedy et al., "Rethinking the Inception architecture", 2016, section 7)
 * @returns a scalar
 */
export function crossEntropy(g: GraphBuilder, logits: Value, labels: Value, smoothing = 0): Value {
  const attrs = { ignore_index: IGNORED, reduction: 'mean' };
  const [plain, logs] = g.op('SoftmaxCrossEntropyLoss', [logits, labels], attrs, {
    outputs: smoothing > 0 ? 2 : 1,
  });
  if (!logs) return plain!;
  const counted = g.cast(g.not(g.equal(labels, IGNORED)), logits.dtype);
  const perRow = g.mul(g.reduceMean(logs, [1], false), counted);
  const even = g.div(g.reduceSum(perRow, [0], false), g.reduceSum(counted, [0], false));
  return g.sub(g.mul(plain!, 1 - smoothing), g.mul(even, smoothing));
}

/**
 * The labels [batch, length] as each place has to answer them, int64 [batch · length]: a place predicts what comes next, so
 * the last one predicts nothing. (Moving labels is cheaper than cutting the logits, and the mean is the same.)
 */
export function nextLabels(g: GraphBuilder, labels: Value): Value {
  const [batch, length] = labels.shape as [number, number];
  const rest = g.slice(labels, [1], [length], [1]);
  const none = g.constant(int64([batch, 1], new Array<number>(batch).fill(IGNORED)), 'ignored');
  return g.reshape(g.concat([rest, none], 1), [batch * length]);
}

/**
 * Contrastive loss of a batch of pairs: every image has to find its text among all, and every text its image (Radford et al.,
 * "Learning transferable visual models from natural language supervision", 2021, figure 3).
 * @param logits [n, n], pairs on the diagonal
 */
export function pairedCrossEntropy(g: GraphBuilder, logits: Value, smoothing = 0): Value {
  const n = Number(logits.shape[0]);
  const own = g.constant(
    int64(
      [n],
      Array.from({ length: n }, (_, i) => i),
    ),
    'pairs',
  );
  const images = g.scope('images', () => crossEntropy(g, logits, own, smoothing));
  const texts = g.scope('texts', () => crossEntropy(g, g.transpose(logits, [1, 0]), own, smoothing));
  return g.mul(g.add(images, texts), 0.5);
}

/**
 * Every pair judged by itself: −log σ(±logit), plus on the diagonal, summed over all n² and divided by n (Zhai et al.,
 * "Sigmoid loss for language image pre-training", 2023, algorithm 1).
 * @param logits [n, n], pairs on the diagonal
 */
export function pairedSigmoid(g: GraphBuilder, logits: Value): Value {
  const n = Number(logits.shape[0]);
  // −log σ(z) is softplus(−z).
  const signs = Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? -1 : 1));
  const [losses] = g.op('Softplus', [g.mul(logits, g.constant(float32([n, n], signs), 'signs'))]);
  return g.div(g.reduceSum(losses!, undefined, false), n);
}

/** int64 [batch, length] of ignored labels: of image tokens, which nothing has to predict. */
export function ignoredLabels(g: GraphBuilder, batch: number, length: number): Value {
  const data = new BigInt64Array(batch * length).fill(BigInt(IGNORED));
  return g.constant(tensor('int64', [batch, length], data), 'ignored');
}
