import type { Attribute } from '../core/graph.ts';
import { float32 } from '../core/tensor.ts';
import type { GraphBuilder, Value } from '../graph/builder.ts';
import { crossEntropy, nextLabels, pairedCrossEntropy } from '../training/forward/loss.ts';

export type Attributes = Readonly<Record<string, Attribute>>;

/** What one recorded case computes, of its inputs in their order. */
type Case = (g: GraphBuilder, inputs: readonly Value[], attrs: Attributes) => readonly Value[];

/** Every tensor input of a standard operator in its place, attributes as ONNX has them. */
const standard =
  (op: string, fixed: Attributes = {}): Case =>
  (g, inputs, attrs) =>
    g.op(op, inputs, { ...fixed, ...attrs });

const of =
  (compute: (g: GraphBuilder, ...inputs: Value[]) => Value): Case =>
  (g, inputs) => [compute(g, ...inputs)];

const axesOf = (attrs: Attributes): readonly number[] => attrs.axes as readonly number[];
const size = (v: Value, axis: number): number => Number(v.shape.at(axis));

const positive = (g: GraphBuilder, x: Value, shift: number): Value => g.add(g.abs(x), shift);

/** √(2 ÷ π), of GELU's approximation by tanh (Hendrycks and Gimpel, 2016). */
const TANH_GELU = Math.sqrt(2 / Math.PI);

/** softmax(q kᵀ ÷ √d + mask) v over [batch, heads, length, d]; `k` and `v` may have fewer heads, each for as many of `q`. */
function attention(g: GraphBuilder, q: Value, k: Value, v: Value, mask?: Value): Value {
  const [batch, heads, length, width] = q.shape as [number, number, number, number];
  const [groups, keys] = [size(k, 1), size(k, 2)];
  const folded = g.reshape(q, [batch, groups, (heads / groups) * length, width]);
  const scores = g.mul(g.matmul(folded, g.transpose(k, [0, 1, 3, 2])), 1 / Math.sqrt(width));
  const apart = g.reshape(scores, [batch, heads, length, keys]);
  const shares = g.softmax(mask ? g.add(apart, mask) : apart);
  const together = g.reshape(shares, [batch, groups, (heads / groups) * length, keys]);
  return g.reshape(g.matmul(together, v), q.shape);
}

/** A query sees the keys up to its own place, counted from the last. */
function causal(g: GraphBuilder, q: Value, k: Value, v: Value): Value {
  const [queries, keys] = [size(q, 2), size(k, 2)];
  const hidden = Array.from({ length: queries * keys }, (_, i) =>
    (i % keys) - Math.floor(i / keys) > keys - queries ? -1e9 : 0,
  );
  return attention(g, q, k, v, g.constant(float32([queries, keys], hidden)));
}

function selfAttention(g: GraphBuilder, x: Value, inW: Value, inB: Value, outW: Value, outB: Value): Value {
  const [batch, length, width] = x.shape as [number, number, number];
  const heads = 2;
  const packed = g.gemm(g.reshape(x, [batch * length, width]), inW, inB, { transB: 1 });
  const [q, k, v] = g
    .split(packed, [width, width, width], 1)
    .map((part) => g.transpose(g.reshape(part, [batch, length, heads, width / heads]), [0, 2, 1, 3])) as [
    Value,
    Value,
    Value,
  ];
  const mixed = g.transpose(attention(g, q, k, v), [0, 2, 1, 3]);
  const rows = g.gemm(g.reshape(mixed, [batch * length, width]), outW, outB, { transB: 1 });
  return g.reshape(rows, x.shape);
}

/** Pairs (i, i + d ÷ 2) of [batch, heads, length, d] turned by positions [batch, length]. */
function rotary(g: GraphBuilder, [q, k, positions]: readonly Value[], attrs: Attributes): readonly Value[] {
  const half = size(q!, 3) / 2;
  const frequencies = Array.from({ length: half }, (_, i) => Number(attrs.theta) ** (-i / half));
  const place = g.unsqueeze(g.cast(positions!, 'float32'), [1, 3]);
  const angle = g.mul(place, g.constant(float32([half], frequencies)));
  const [cos, sin] = [g.cos(angle), g.sin(angle)];
  return [q!, k!].map((x) => {
    const [a, b] = g.split(x, [half, half], 3) as [Value, Value];
    return g.concat([g.sub(g.mul(a, cos), g.mul(b, sin)), g.add(g.mul(b, cos), g.mul(a, sin))], 3);
  });
}

const channelsLast = [0, 2, 3, 1];
const smoothed: Case = (g, [x, target], attrs) => [
  crossEntropy(g, x!, target!, Number(attrs.label_smoothing)),
];
const reduced =
  (op: 'reduceMean' | 'reduceSum' | 'reduceMax'): Case =>
  (g, [x], attrs) => [g[op](x!, axesOf(attrs), attrs.keepdims === 1)];
const resized =
  (attrs: Attributes): Case =>
  (g, [x]) =>
    g.op('Resize', [x!, null, g.constant(float32([4], [1, 1, 2, 2]))], attrs);

/** By what the recording's config.json calls the operation. */
export const CASES: Readonly<Record<string, Case>> = {
  ...Object.fromEntries(
    [
      ...['Conv', 'ConvTranspose', 'MaxPool', 'AveragePool', 'GlobalAveragePool', 'LayerNormalization'],
      ...['Relu', 'Sigmoid', 'Tanh', 'HardSwish', 'Softplus'],
      ...['Erf', 'Exp', 'Sin', 'Cos', 'Softmax', 'LogSoftmax', 'SoftmaxCrossEntropyLoss'],
      ...['Add', 'Mul', 'Div', 'Sub', 'MatMul', 'Gemm'],
    ].map((op) => [op, standard(op)]),
  ),
  // In training it becomes another (`operators.ts`).
  BatchNormalization: (g, inputs, { epsilon }) => g.op('BatchNormalization', inputs, { epsilon }),
  // Its own operator came with opset 18, and with a scale per channel with 21.
  GroupNormalization: (g, [x, w, b], attrs) => {
    const [n, c, ...space] = x!.shape as [number, number, ...number[]];
    const groups = Number(attrs.num_groups);
    const length = (c * space.reduce((a, d) => a * d, 1)) / groups;
    const ones = g.constant(float32([length], new Float32Array(length).fill(1)), 'ones');
    const normed = g.layerNorm(g.reshape(x!, [n, groups, length]), ones, null, {
      epsilon: Number(attrs.epsilon),
    });
    return [g.add(g.mul(g.reshape(normed, x!.shape), g.unsqueeze(w!, [1, 2])), g.unsqueeze(b!, [1, 2]))];
  },
  'LayerNormalization over axis 1 of NCHW': (g, [x, w, b], attrs) => {
    const normed = g.layerNorm(g.transpose(x!, channelsLast), w!, b!, { epsilon: Number(attrs.epsilon) });
    return [g.transpose(normed, [0, 3, 1, 2])];
  },
  'SimplifiedLayerNormalization / RMSNormalization': (g, [x, w], attrs) => {
    const square = g.add(g.reduceMean(g.mul(x!, x!), [-1]), Number(attrs.epsilon));
    return [g.mul(g.div(x!, g.sqrt(square)), w!)];
  },
  'Gelu approximate=none': of((g, x) => g.gelu(x)),
  'Gelu approximate=tanh': of((g, x) => {
    const inner = g.mul(g.add(x, g.mul(g.pow(x, 3), 0.044715)), TANH_GELU);
    return g.mul(g.mul(x, g.add(g.tanh(inner), 1)), 0.5);
  }),
  'x*sigmoid(1.702x)': of((g, x) => g.mul(x, g.sigmoid(g.mul(x, 1.702)))),
  'x*sigmoid(x)': of((g, x) => g.silu(x)),
  'HardSigmoid alpha=1/6 beta=0.5': standard('HardSigmoid', { alpha: 1 / 6, beta: 0.5 }),
  'LeakyRelu alpha=0.01': standard('LeakyRelu', { alpha: 0.01 }),
  'Elu alpha=1': standard('Elu', { alpha: 1 }),
  'Sqrt(Abs(x)+0.1)': of((g, x) => g.sqrt(positive(g, x, 0.1))),
  'Log(Abs(x)+0.1)': of((g, x) => g.log(positive(g, x, 0.1))),
  '1/(Abs(x)+0.5)': of((g, x) => g.reciprocal(positive(g, x, 0.5))),
  'Clip(-1,1.5)': (g, [x]) => g.op('Clip', [x!, g.scalar(-1), g.scalar(1.5)]),
  'x^3': of((g, x) => g.pow(x, 3)),
  'PRelu (slope per channel)': (g, [x, slope]) => g.op('PRelu', [x!, g.unsqueeze(slope!, [1, 2])]),
  'cross entropy': smoothed,
  'next-token cross entropy: logits[:, :-1] vs labels[:, 1:]': of((g, x, labels) => {
    const [batch, length, classes] = x.shape as [number, number, number];
    return crossEntropy(g, g.reshape(x, [batch * length, classes]), nextLabels(g, labels));
  }),
  'mean squared error': of((g, x, target) => g.reduceMean(g.pow(g.sub(x, target), 2), undefined, false)),
  'binary cross entropy with logits': of((g, x, target) => {
    const [softplus] = g.op('Softplus', [x]);
    return g.reduceMean(g.sub(softplus!, g.mul(x, target)), undefined, false);
  }),
  'symmetric InfoNCE on L2-normalised rows': of((g, a, b, scale) => {
    const [left, right] = [a, b].map((x) => g.div(x, g.reduceL2(x, [-1]))) as [Value, Value];
    return pairedCrossEntropy(g, g.mul(g.gemm(left, right, null, { transB: 1 }), g.exp(scale)));
  }),
  'Gather axis 0': of((g, table, ids) => g.gather(table, ids, 0)),
  'Gather axis 1': of((g, x, ids) => g.gather(x, ids, 1)),
  'GatherElements axis 1': standard('GatherElements', { axis: 1 }),
  'ScatterElements axis 0 reduction=add': standard('ScatterElements', { axis: 0, reduction: 'add' }),
  'Where(mask, a, b)': of((g, mask, a, b) => g.where(mask, a, b)),
  'MatMul+Add with W[out,in]': of((g, x, w, b) => g.add(g.matmul(x, g.transpose(w, [1, 0])), b)),
  'Slice/Concat/Transpose': of((g, x) => {
    const every = g.slice(x, [1], [5], [1], [2]);
    const turned = g.slice(g.slice(x, [0], [2], [1]), [-1], [-1000], [2], [-1]);
    return g.transpose(g.concat([every, turned, g.slice(x, [4], [5], [1])], 1), [0, 2, 1]);
  }),
  'Split/Mul/Concat': of((g, x) => {
    const [a, b, c] = g.split(x, [6, 6, 4], 2) as [Value, Value, Value];
    return g.concat([g.mul(a, b), g.tanh(c), a], 2);
  }),
  'Reshape/Expand/Unsqueeze': of((g, x) => {
    const [batch] = x.shape as [number];
    const stretched = g.expand(g.unsqueeze(g.reshape(x, [batch, 3, 2]), [1]), g.ints([batch, 4, 3, 2]));
    return g.mul(stretched, g.constant(float32([4, 1, 1], [0, 1, 2, 3])));
  }),
  'Pad + roll (slice, concat)': (g, [x]) => {
    const rolled = [
      [1, 1],
      [2, 2],
    ].reduce<Value>((v, [axis, by]) => {
      const [head, tail] = g.split(v, [by!, size(v, axis!) - by!], axis!) as [Value, Value];
      return g.concat([tail, head], axis!);
    }, x!);
    return g.op('Pad', [rolled, g.ints([0, 0, 1, 0, 0, 1, 2, 0]), g.scalar(0)], { mode: 'constant' });
  },
  ReduceMean: reduced('reduceMean'),
  ReduceSum: reduced('reduceSum'),
  ReduceMax: reduced('reduceMax'),
  'x/||x||': of((g, x) => g.div(x, g.reduceL2(x, [-1]))),
  'biased variance': (g, [x], attrs) => {
    const centred = g.sub(x!, g.reduceMean(x!, axesOf(attrs)));
    return [g.reduceMean(g.mul(centred, centred), axesOf(attrs), false)];
  },
  'CumSum axis 1': (g, [x]) => g.op('CumSum', [x!, g.scalar(1, 'int64')]),
  'x*x + x (fan-out)': of((g, x) => g.add(g.mul(x, x), x)),
  'Einsum bqhd,bkhd->bhqk': standard('Einsum', { equation: 'bqhd,bkhd->bhqk' }),
  'Resize linear, half_pixel, x2': resized({
    ...{ mode: 'linear', coordinate_transformation_mode: 'half_pixel' },
  }),
  'Resize nearest (asymmetric, floor) x2': resized({
    ...{ mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
  }),
  'SpaceToDepth (torch channel order)': (g, [x], attrs) => {
    const [n, c, h, w] = x!.shape as [number, number, number, number];
    const b = Number(attrs.blocksize);
    const cut = g.reshape(x!, [n, c, h / b, b, w / b, b]);
    return [g.reshape(g.transpose(cut, [0, 1, 3, 5, 2, 4]), [n, c * b * b, h / b, w / b])];
  },
  'rotary embedding, rotate_half (Llama layout)': rotary,
  'scaled dot-product attention, causal': of(causal),
  'the same, 4 query heads on 2 kv heads (repeat_interleave)': of(causal),
  'causal, 2 queries against 6 keys (offset 4)': of(causal),
  'non-causal with an additive learnable bias [H,S,S]': of(attention),
  'nn.MultiheadAttention self-attention, 2 heads, packed in_proj (q,k,v rows)': of(selfAttention),
};
