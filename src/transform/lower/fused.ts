import type { Attribute } from '../../core/graph.ts';
import type { Value } from '../../graph/builder.ts';
import type { LoweringTable, Site } from './lowering.ts';

/** The activation that a fused product or convolution ends with. */
function activated(s: Site, y: Value): Value {
  const { g } = s;
  const activation = s.text('activation', '');
  if (activation === '') return y;
  if (activation === 'Relu6') return g.op('Clip', [y, g.scalar(0, y.dtype), g.scalar(6, y.dtype)])[0]!;
  const attrs = activation === 'LeakyRelu' ? { alpha: s.float('activation_alpha', 0.01) } : {};
  return g.op(activation, [y], attrs)[0]!;
}

function turned(s: Site, x: Value, flag: string): Value {
  if (!s.node.attrs[flag]) return x;
  const rank = x.shape.length;
  const perm = Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
  return s.g.transpose(x, perm);
}

/** The operators of our own transforms, see `graph/ops/fused.ts`. */
export const fused: LoweringTable = {
  FusedMatMul: (s) => {
    const { g } = s;
    const product = g.matmul(turned(s, s.in(0), 'transA'), turned(s, s.in(1), 'transB'));
    const alpha = s.float('alpha', 1);
    const scaled = alpha === 1 ? product : g.mul(product, alpha);
    return [activated(s, s.has(2) ? g.add(scaled, s.in(2)) : scaled)];
  },
  FusedConv: (s) => {
    const attrs: Record<string, Attribute> = { ...s.node.attrs };
    delete attrs.activation;
    delete attrs.activation_alpha;
    const inputs = [s.in(0), s.in(1), ...(s.has(2) ? [s.in(2)] : [])];
    return [activated(s, s.g.op('Conv', inputs, attrs)[0]!)];
  },
  Attention: (s) => {
    const { g } = s;
    const [q, k, v] = [s.in(0), s.in(1), s.in(2)];
    const rank = q.shape.length;
    const [heads, shared] = [Number(q.shape[rank - 3]), Number(k.shape[rank - 3])];
    // Query heads that share one of keys and values are an axis of their own, along which those stretch.
    const grouped = heads !== shared && heads > 1;
    if (grouped && ![...q.shape, ...k.shape, ...v.shape].every((d) => typeof d === 'number'))
      s.fail('heads are shared, and sizes are not known');
    const split = (x: Value, n: number): Value =>
      grouped ? g.reshape(x, [...x.shape.slice(0, -3), shared, n, ...x.shape.slice(-2)]) : x;
    const last = rank + Number(grouped);
    const perm = Array.from({ length: last }, (_, i) => (i < last - 2 ? i : 2 * last - 3 - i));
    const scores = g.matmul(split(q, heads / shared), g.transpose(split(k, 1), perm));
    const scale = s.float('scale', 1);
    const scaled = scale === 1 ? scores : g.mul(scores, scale);
    const joined = (x: Value): Value =>
      grouped ? g.reshape(x, [...x.shape.slice(0, -4), heads, ...x.shape.slice(-2)]) : x;
    const weights = g.softmax(s.has(3) ? g.add(joined(scaled), s.in(3)) : joined(scaled));
    return [joined(g.matmul(split(weights, heads / shared), split(v, 1)))];
  },
};
