import type { Tensor } from '../../core/tensor.ts';
import { convolution } from './conv.ts';
import {
  type Call,
  fail,
  input,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  scratch,
  span,
  store,
  textAttr,
} from './kernel.ts';
import { matmulNumbers } from './matmul.ts';
import { movement } from './move.ts';
import { broadcastShape, stretchedIndex } from './strided.ts';
import { unary } from './unary.ts';

/** Applies the operator that `activation` names, see FUSED_ACTIVATIONS. */
function activated(c: Call, x: Tensor): Tensor {
  const activation = textAttr(c, 'activation', '');
  if (activation === '') return x;
  if (activation === 'Relu6') {
    return store(
      x.dtype,
      x.shape,
      numbers(x).map((v) => (v < 0 ? 0 : v > 6 ? 6 : v)),
    );
  }
  const kernel = unary[activation] ?? fail(c, `there is no activation ${activation}`);
  const alpha = activation === 'LeakyRelu' ? { alpha: numberAttr(c, 'activation_alpha', 0.01) } : {};
  const node = { op: activation, name: c.node.name, inputs: ['x'], outputs: ['y'], attrs: alpha };
  return kernel({ node, opset: c.opset, inputs: [x] })[0]!;
}

/** A matrix operand, its last two dimensions exchanged where `flag` says so. */
function operand(c: Call, index: number, flag: string): Tensor {
  const x = input(c, index);
  if (numberAttr(c, flag, 0) === 0) return x;
  const rank = x.shape.length;
  if (rank < 2) fail(c, `${flag} of a vector`);
  const perm = Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
  const node = { op: 'Transpose', name: c.node.name, inputs: ['x'], outputs: ['y'], attrs: { perm } };
  return movement.Transpose!({ node, opset: c.opset, inputs: [x] })[0]!;
}

const fusedMatMul: Kernel = (c) => {
  const [a, b, bias] = [operand(c, 0, 'transA'), operand(c, 1, 'transB'), c.inputs[2]];
  const { shape, values } = matmulNumbers(c, numbers(a), a.shape, numbers(b), b.shape);
  const alpha = numberAttr(c, 'alpha', 1);
  const columns = shape.at(-1) ?? 1;
  if (bias && bias.data.length !== columns) fail(c, `a bias of ${bias.data.length} for ${columns} columns`);
  const added = bias ? numbers(bias) : null;
  for (let i = 0; i < values.length; i++) values[i] = alpha * values[i]! + (added ? added[i % columns]! : 0);
  return [activated(c, store(a.dtype, shape, values))];
};

/** softmax(scale · q kᵀ + mask) v; the scores are never rounded. */
const attention: Kernel = (c) => {
  const [q, k, v, mask] = [input(c, 0), input(c, 1), input(c, 2), c.inputs[3]];
  const rank = q.shape.length;
  if (rank < 3 || k.shape.length !== rank || v.shape.length !== rank) fail(c, 'ranks differ');
  const [rows, width] = q.shape.slice(-2) as [number, number];
  const [keys, wide] = v.shape.slice(-2) as [number, number];
  if (k.shape.at(-1) !== width || k.shape.at(-2) !== keys) fail(c, 'keys fit neither queries nor values');
  const own = k.shape.slice(0, -2);
  if (own.join() !== v.shape.slice(0, -2).join()) fail(c, 'keys and values differ');
  const shared = (q.shape.at(-3)! || 1) / (own.at(-1)! || 1);
  const grouped = Number.isInteger(shared) && shared > 1 ? [...own.slice(0, -1), own.at(-1)! * shared] : own;
  const lead = broadcastShape(c, q.shape.slice(0, -2), grouped);
  if (lead.join() !== grouped.join()) fail(c, 'keys and values have fewer heads than the queries');
  const [qs, ks, vs] = [numbers(q), numbers(k), numbers(v)];
  const scores = [...lead, rows, keys];
  if (mask && broadcastShape(c, mask.shape, scores).join() !== scores.join())
    fail(c, 'the mask does not fit');
  const [added, atMask] = mask ? [numbers(mask), stretchedIndex(mask.shape, scores)] : [null, () => 0];
  const atQuery = stretchedIndex(q.shape.slice(0, -2), lead);
  const scale = numberAttr(c, 'scale', 1);
  const out = scratch(c, [...lead, rows, wide]);
  const weights = new Float64Array(keys);
  for (let h = 0; h < span(lead); h++) {
    const [fromQuery, head] = [atQuery(h) * rows * width, grouped === own ? h : Math.floor(h / shared)];
    for (let row = 0; row < rows; row++) {
      let top = Number.NEGATIVE_INFINITY;
      for (let t = 0; t < keys; t++) {
        let sum = 0;
        for (let i = 0; i < width; i++)
          sum += qs[fromQuery + row * width + i]! * ks[(head * keys + t) * width + i]!;
        weights[t] = scale * sum + (added ? added[atMask((h * rows + row) * keys + t)]! : 0);
        top = Math.max(top, weights[t]!);
      }
      let total = 0;
      for (let t = 0; t < keys; t++) {
        weights[t] = Math.exp(weights[t]! - top);
        total += weights[t]!;
      }
      const at = (h * rows + row) * wide;
      for (let t = 0; t < keys; t++)
        for (let i = 0; i < wide; i++)
          out[at + i]! += (weights[t]! / total) * vs[(head * keys + t) * wide + i]!;
    }
  }
  return [store(q.dtype, [...lead, rows, wide], out)];
};

/** The operators of our own domain, see `ops/fused.ts`. */
export const fusions: KernelTable = {
  FusedMatMul: fusedMatMul,
  FusedConv: (c) => [activated(c, convolution.Conv!(c)[0]!)],
  Attention: attention,
};
