import { toNumbers } from '../../../core/tensor.ts';
import { textAttr } from '../../../graph/kernels/kernel.ts';
import { stridesOf } from '../../../graph/kernels/strided.ts';
import { place } from './gather.ts';
import { fail, input, ints, type Kernel, type KernelTable, made, plain } from './kernel.ts';
import { picked } from './parts.ts';
import { softmaxes } from './softmax.ts';

/** Labels and the weights of the classes are looked up on the host, the scores stay on the engine. */
const crossEntropy: Kernel = {
  reads: [1, 2],
  run: (c) => {
    const { tf } = c;
    const [x, labels] = [input(c, 0), input(c, 1)];
    const [classes, strides] = [x.shape[1] ?? fail(c, 'the scores have no classes'), stridesOf(x.shape)];
    const log = softmaxes.LogSoftmax!.run({
      ...c,
      opset: 13,
      node: { ...c.node, attrs: { axis: 1 } },
      inputs: [x],
    })[0]!;
    const weights = c.inputs[2]?.host && toNumbers(c.inputs[2].host);
    const { ignore_index: ignored } = c.node.attrs;
    const inner = strides[1]!;
    const share = new Float32Array(labels.shape.reduce((n, d) => n * d, 1));
    const at = ints(c, 1)!.map((label, row) => {
      const counts = ignored === undefined || label !== Number(ignored);
      const own = counts ? place(c, label, classes) : 0;
      share[row] = counts ? (weights?.[own] ?? 1) : 0;
      return (Math.floor(row / inner) * classes + own) * inner + (row % inner);
    });
    const chosen = picked(c, tf.reshape(plain(c, { ...log, fixed: false }), [-1]), at, 0);
    const rows = tf.neg(tf.mul(chosen, tf.tensor1d(share)));
    const reduction = textAttr(c, 'reduction', 'mean');
    const total = reduction === 'mean' ? share.reduce((a, b) => a + b, 0) : 1;
    const loss =
      reduction === 'none' ? tf.reshape(rows, labels.shape as number[]) : tf.div(tf.sum(rows), total);
    return [made(loss, x.dtype), log];
  },
};

/** Losses. */
export const losses: KernelTable = { SoftmaxCrossEntropyLoss: crossEntropy };
