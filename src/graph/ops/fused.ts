import type { Dim } from '../../core/graph.ts';
import { sameDim, showShape } from '../dims.ts';
import { broadcast } from './broadcast.ts';
import { convolution } from './conv.ts';
import { type CostContext, type OpContext, type OpTable, typed } from './entry.ts';

/**
 * Activations that a fused product or convolution may end with, by the value of its attribute `activation`: the operator of
 * that name, except `Relu6`, which is Clip from 0 to 6. `LeakyRelu` has its slope in `activation_alpha`, `Elu` has α = 1.
 */
export const FUSED_ACTIVATIONS: readonly string[] = ['Relu', 'Relu6', 'LeakyRelu', 'Elu', 'Sigmoid'];

const product = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

function checkActivation(c: OpContext): void {
  const activation = c.text('activation', '');
  if (activation !== '' && !FUSED_ACTIVATIONS.includes(activation)) c.fail(`activation ${activation}`);
}

/** Shape of a matrix operand with its last two dimensions exchanged where `flag` says so. */
function operand(c: OpContext, i: number, flag: string): Dim[] {
  const shape = c.rank(i, [1, 64]);
  if (c.int(flag, 0) === 0) return [...shape];
  if (shape.length < 2) c.fail(`${flag} of a vector`);
  return [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];
}

function matmulShape(c: OpContext): Dim[] {
  const [a, b] = [operand(c, 0, 'transA'), operand(c, 1, 'transB')];
  const left = a.length === 1 ? [1, a[0]!] : a;
  const right = b.length === 1 ? [b[0]!, 1] : b;
  c.same(left.at(-1)!, right.at(-2)!, `inner dimensions of ${showShape(a)} × ${showShape(b)} differ`);
  const out = broadcast(c, [left.slice(0, -2), right.slice(0, -2)]);
  if (a.length > 1) out.push(left.at(-2)!);
  if (b.length > 1) out.push(right.at(-1)!);
  if (c.has(2)) c.same(c.rank(2, 1)[0]!, out.at(-1) ?? 1, 'length of the bias against the columns');
  return out;
}

function attentionShape(c: OpContext): Dim[] {
  const [q, k, v] = [c.rank(0, [3, 64]), c.shape(1), c.shape(2)];
  if (k.length !== q.length || v.length !== q.length) c.fail('queries, keys and values differ in rank');
  c.same(q.at(-1)!, k.at(-1)!, 'width of queries against that of keys');
  c.same(k.at(-2)!, v.at(-2)!, 'number of keys against that of values');
  const lead = q.slice(0, -2).map((d, i) => {
    const keys = c.same(k[i]!, v[i]!, `dimension ${i} of keys against that of values`);
    if (d === 1) return keys;
    // Several heads of queries may share one of keys and values.
    const shared = i === q.length - 3 && typeof d === 'number' && typeof keys === 'number' && d % keys === 0;
    return shared ? d : c.same(d, keys, `dimension ${i} of queries against that of keys`);
  });
  if (c.has(3)) {
    const scores = [...lead, q.at(-2)!, k.at(-2)!];
    const full = broadcast(c, [scores, c.shape(3)]);
    if (full.length !== scores.length || full.some((d, i) => !sameDim(d, scores[i]!)))
      c.fail(`the mask ${showShape(c.shape(3))} doesn't stretch to ${showShape(scores)}`);
  }
  return [...lead, q.at(-2)!, v.at(-1)!];
}

const lengthOfSum = (c: CostContext): number => c.input(0).at(c.node.attrs.transA ? -2 : -1) ?? 1;

/**
 * Operators of our own that `transform/` makes of patterns, for executors without an optimiser of their own.
 *
 * - `FusedMatMul` (a, b, bias [columns]?): activation(alpha · a′ · b′ + bias); `transA` and `transB` exchange the last two
 *   dimensions of an operand; the rest as MatMul.
 * - `FusedConv` (x, weight, bias?): activation(Conv), with Conv's attributes.
 * - `Attention` (q […, S, d], k […, T, d], v […, T, e], mask?): softmax(scale · q kᵀ + mask) v, […, S, e]. Leading dimensions
 *   of q are those of k and v, or 1; the last of them (heads) may be a multiple: query head h then reads head
 *   ⌊h ÷ (heads of q ÷ heads of k)⌋. The mask stretches to […, S, T].
 */
export const fused: OpTable = {
  FusedMatMul: {
    inputs: [2, 3],
    since: 1,
    floats: ['alpha', 'activation_alpha'],
    infer: (c) => {
      checkActivation(c);
      return [typed(c.sameTypes(0, 1, 2), matmulShape(c))];
    },
    macs: (c) => product(c.output(0)) * lengthOfSum(c),
  },
  FusedConv: {
    ...convolution.Conv!,
    floats: ['activation_alpha'],
    infer: (c) => {
      checkActivation(c);
      return convolution.Conv!.infer(c);
    },
  },
  Attention: {
    inputs: [3, 4],
    since: 1,
    floats: ['scale'],
    infer: (c) => [typed(c.sameTypes(0, 1, 2), attentionShape(c))],
    macs: (c) => {
      const keys = c.input(1).at(-2)!;
      return product(c.output(0).slice(0, -1)) * keys * (c.input(0).at(-1)! + c.input(2).at(-1)!);
    },
  },
};
