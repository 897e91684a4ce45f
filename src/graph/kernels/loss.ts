import {
  fail,
  input,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  span,
  store,
  textAttr,
} from './kernel.ts';
import { softmaxes } from './softmax.ts';

/**
 * −log softmax(scores)[label] · weight[label], in rows, summed, or as their mean by weight. A row whose label is `ignore_index`
 * counts nowhere; without that attribute every label must be a class.
 */
const crossEntropy: Kernel = (c) => {
  const [scores, labels, weights] = [input(c, 0), input(c, 1), c.inputs[2]];
  const classes = scores.shape[1]!;
  const node = { ...c.node, attrs: { axis: 1 } };
  const [logarithms] = softmaxes.LogSoftmax!({
    node,
    opset: 13,
    inputs: [{ ...scores, dtype: 'float64', data: numbers(scores) }],
  });
  const [log, wanted] = [numbers(logarithms!), numbers(labels)];
  const weigh = weights ? numbers(weights) : null;
  const ignored = c.node.attrs.ignore_index === undefined ? null : numberAttr(c, 'ignore_index', 0);
  const inner = span(scores.shape, 2);
  let [sum, total] = [0, 0];
  const rows = new Float64Array(wanted.length);
  wanted.forEach((label, i) => {
    if (label === ignored) return;
    if (!(label >= 0 && label < classes)) fail(c, `label ${label} is none of ${classes} classes`);
    const weight = weigh?.[label] ?? 1;
    rows[i] = -log[(Math.floor(i / inner) * classes + label) * inner + (i % inner)]! * weight;
    sum += rows[i];
    total += weight;
  });
  const reduction = textAttr(c, 'reduction', 'mean');
  const loss =
    reduction === 'none'
      ? store(scores.dtype, labels.shape, rows)
      : store(scores.dtype, [], Float64Array.of(reduction === 'sum' ? sum : sum / total));
  return [loss, store(scores.dtype, scores.shape, log)];
};

/** Losses. */
export const losses: KernelTable = { SoftmaxCrossEntropyLoss: crossEntropy };
