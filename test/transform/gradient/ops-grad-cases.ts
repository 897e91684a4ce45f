import type { Attribute } from '../../../src/core/graph.ts';
import type { GraphBuilder, Value } from '../../../src/graph/builder.ts';

type Attrs = Readonly<Record<string, Attribute>>;
/** What the fixture computed with PyTorch, in our operators. */
export type Forward = (g: GraphBuilder, inputs: readonly Value[], attrs: Attrs) => Value | Value[];

const one =
  (op: string, own: Attrs = {}): Forward =>
  (g, x, attrs) =>
    g.op(op, x, { ...attrs, ...own })[0]!;

const conv: Forward = (g, x, attrs) =>
  g.op('Conv', x, { ...attrs, kernel_shape: x[1]!.shape.slice(2) as number[] })[0]!;
const transposed: Forward = (g, x, attrs) =>
  g.op('ConvTranspose', x, { ...attrs, kernel_shape: x[1]!.shape.slice(2) as number[] })[0]!;

/** Cross-entropy over dimension 1 with smoothed labels: (1 − s) · loss + s · mean over the classes of −log p. */
function smoothed(g: GraphBuilder, x: Value, target: Value, smoothing: number, ignore?: number): Value {
  const attrs = { reduction: 'mean', ...(ignore !== undefined && { ignore_index: ignore }) };
  const [loss, log] = g.op('SoftmaxCrossEntropyLoss', [x, target], attrs, { outputs: 2 });
  const rows = g.neg(g.reduceMean(log!, [1], false));
  const counts = ignore === undefined ? undefined : g.cast(g.not(g.equal(target, ignore)), 'float32');
  const uniform = counts
    ? g.div(g.reduceSum(g.mul(rows, counts), undefined, false), g.reduceSum(counts, undefined, false))
    : g.reduceMean(rows, undefined, false);
  return g.add(g.mul(loss!, 1 - smoothing), g.mul(uniform, smoothing));
}

const swap = (g: GraphBuilder, x: Value): Value => {
  const rank = x.shape.length;
  return g.transpose(
    x,
    x.shape.map((_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i)),
  );
};

function attend(g: GraphBuilder, q: Value, k: Value, v: Value, mask?: Value): Value {
  const scores = g.div(g.matmul(q, swap(g, k)), Math.sqrt(Number(q.shape.at(-1))));
  return g.matmul(g.softmax(mask ? g.add(scores, mask) : scores), v);
}

/** Keys up to the query's own place, the queries being the last of them. */
function causal(g: GraphBuilder, q: Value, k: Value): Value {
  const [rows, keys] = [Number(q.shape.at(-2)), Number(k.shape.at(-2))];
  const ones = g.expand(g.scalar(1), g.ints([rows, keys]));
  const allowed = g.op('Trilu', [ones, g.scalar(keys - rows, 'int64')], { upper: 0 })[0]!;
  return g.where(g.greater(allowed, 0), 0, -1e9);
}

const sdpa: Forward = (g, [q, k, v]) => attend(g, q!, k!, v!, causal(g, q!, k!));

function rotated(g: GraphBuilder, x: Value, cos: Value, sin: Value): Value {
  const [a, b] = g.split(x, [4, 4], -1) as [Value, Value];
  return g.add(g.mul(x, cos), g.mul(g.concat([g.neg(b), a], -1), sin));
}

const unit = (g: GraphBuilder, x: Value): Value => g.div(x, g.reduceL2(x, [-1]));

const swish =
  (alpha: number): Forward =>
  (g, [x]) =>
    g.mul(x!, g.sigmoid(alpha === 1 ? x! : g.mul(x!, alpha)));

const layerNorm: Forward = (g, [x, w, b], attrs) =>
  g.layerNorm(x!, w!, b!, { epsilon: Number(attrs.epsilon) });

/** By case; `op` of the fixture says the same in words. */
export const FORWARD: Readonly<Record<string, Forward>> = {
  ...Object.fromEntries(
    ['conv_s2p1', 'conv_1x1', 'conv_depthwise', 'conv_grouped_s2', 'conv_dilated', 'conv_asym_kernel']
      .concat(['conv_patchify', 'conv3d', 'conv1d'])
      .map((name) => [name, conv]),
  ),
  conv_transpose: transposed,
  conv_transpose_s2k2: transposed,
  maxpool_p1: one('MaxPool'),
  maxpool_overlap: one('MaxPool'),
  maxpool_ceil: one('MaxPool'),
  avgpool: one('AveragePool'),
  avgpool_pad_incl: one('AveragePool'),
  avgpool_pad_excl: one('AveragePool'),
  global_avgpool: one('GlobalAveragePool'),
  layernorm: layerNorm,
  layernorm_eps12: layerNorm,
  layernorm_channels_first: (g, [x, w, b], attrs) =>
    g.transpose(layerNorm(g, [g.transpose(x!, [0, 2, 3, 1]), w!, b!], attrs) as Value, [0, 3, 1, 2]),
  rmsnorm: (g, [x, w], { epsilon }) => {
    const variance = g.reduceMean(g.mul(x!, x!), [-1]);
    return g.mul(g.div(x!, g.sqrt(g.add(variance, Number(epsilon)))), w!);
  },
  batchnorm_train: (g, x, { epsilon }) =>
    g.op('BatchNormalization', x, { epsilon, momentum: 0.9, training_mode: 1 }, { outputs: 3 })[0]!,
  batchnorm_eval: (g, x, { epsilon }) => g.op('BatchNormalization', x, { epsilon })[0]!,
  groupnorm: (g, [x, w, b], { epsilon }) => {
    const [n, c, ...rest] = x!.shape as number[];
    const grouped = g.reshape(x!, [n!, 2, (c! / 2) * rest[0]! * rest[1]!]);
    const ones = g.constant({ dtype: 'float32', shape: [2], data: Float32Array.of(1, 1) });
    const zeros = g.constant({ dtype: 'float32', shape: [2], data: new Float32Array(2) });
    const y = g.op('InstanceNormalization', [grouped, ones, zeros], { epsilon })[0]!;
    const column = [1, c!, 1, 1];
    return g.add(g.mul(g.reshape(y, [n!, c!, ...rest]), g.reshape(w!, column)), g.reshape(b!, column));
  },
  act_gelu_erf: (g, [x]) => g.gelu(x!),
  act_gelu_tanh: (g, [x]) => {
    const inner = g.mul(g.add(x!, g.mul(g.pow(x!, 3), 0.044715)), Math.sqrt(2 / Math.PI));
    return g.mul(g.mul(x!, 0.5), g.add(g.tanh(inner), 1));
  },
  act_quick_gelu: swish(1.702),
  act_silu: swish(1),
  act_relu: one('Relu'),
  act_sigmoid: one('Sigmoid'),
  act_tanh: one('Tanh'),
  act_hardswish: one('HardSwish'),
  act_hardsigmoid: one('HardSigmoid', { alpha: 1 / 6, beta: 0.5 }),
  act_leaky_relu: one('LeakyRelu', { alpha: 0.01 }),
  act_elu: one('Elu', { alpha: 1 }),
  act_softplus: one('Softplus'),
  act_erf: one('Erf'),
  act_exp: one('Exp'),
  act_sqrt_abs: (g, [x]) => g.sqrt(g.add(g.op('Abs', [x!])[0]!, 0.1)),
  act_log_abs: (g, [x]) => g.op('Log', [g.add(g.op('Abs', [x!])[0]!, 0.1)])[0]!,
  act_reciprocal: (g, [x]) => g.op('Reciprocal', [g.add(g.op('Abs', [x!])[0]!, 0.5)])[0]!,
  act_clip: (g, [x]) => g.op('Clip', [x!, g.scalar(-1), g.scalar(1.5)])[0]!,
  act_pow3: (g, [x]) => g.pow(x!, 3),
  act_sin: one('Sin'),
  act_cos: one('Cos'),
  prelu: (g, [x, slope]) => g.op('PRelu', [x!, g.reshape(slope!, [4, 1, 1])])[0]!,
  softmax_last: one('Softmax'),
  softmax_axis1: one('Softmax'),
  log_softmax: one('LogSoftmax'),
  ce_mean: one('SoftmaxCrossEntropyLoss'),
  ce_ignore: one('SoftmaxCrossEntropyLoss'),
  ce_sum: one('SoftmaxCrossEntropyLoss'),
  ce_smooth: (g, [x, target]) => smoothed(g, x!, target!, 0.1),
  ce_smooth_ignore: (g, [x, target]) => smoothed(g, x!, target!, 0.2, -100),
  ce_seq_shift: (g, [x, labels]) => {
    const [rows, next] = [g.slice(x!, [0], [-1], [1]), g.slice(labels!, [1], [5], [1])];
    const attrs = { reduction: 'mean', ignore_index: -100 };
    const inputs = [g.reshape(rows, [8, 7]), g.reshape(next, [8])];
    return g.op('SoftmaxCrossEntropyLoss', inputs, attrs)[0]!;
  },
  mse: (g, [x, target]) => {
    const off = g.sub(x!, target!);
    return g.reduceMean(g.mul(off, off), undefined, false);
  },
  bce_logits: (g, [x, target]) =>
    g.reduceMean(g.sub(g.op('Softplus', [x!])[0]!, g.mul(x!, target!)), undefined, false),
  infonce: (g, [a, b, logScale]) => {
    const scores = g.mul(g.matmul(unit(g, a!), g.transpose(unit(g, b!), [1, 0])), g.exp(logScale!));
    const own = g.range(g.scalar(0, 'int64'), g.scalar(5, 'int64'), g.scalar(1, 'int64'));
    const loss = (x: Value): Value => g.op('SoftmaxCrossEntropyLoss', [x, own])[0]!;
    return g.div(g.add(loss(scores), loss(g.transpose(scores, [1, 0]))), 2);
  },
  embedding_repeat: (g, [w, ids]) => g.gather(w!, ids!),
  gather_axis1: (g, [x, ids]) => g.gather(x!, ids!, 1),
  gather_elements: one('GatherElements', { axis: 1 }),
  scatter_add: one('ScatterElements', { axis: 0, reduction: 'add' }),
  masked_where: (g, [mask, a, b]) => g.where(mask!, a!, b!),
  add_broadcast: one('Add'),
  mul_broadcast: one('Mul'),
  div_broadcast: one('Div'),
  sub_scalar: one('Sub'),
  matmul_2d: one('MatMul'),
  matmul_batch_broadcast: one('MatMul'),
  gemm_transB: one('Gemm'),
  linear_3d: (g, [x, w, b]) => g.add(g.matmul(x!, g.transpose(w!, [1, 0])), b!),
  slice_concat_transpose: (g, [x]) => {
    const backwards = g.slice(x!, [0, -1], [2, -Number.MAX_SAFE_INTEGER], [1, 2], [1, -1]);
    const odd = g.slice(x!, [1], [5], [1], [2]);
    return g.transpose(g.concat([odd, backwards, g.slice(x!, [-1], [5], [1])], 1), [0, 2, 1]);
  },
  split_mul_concat: (g, [x]) => {
    const [a, b, c] = g.split(x!, [6, 6, 4], 2) as [Value, Value, Value];
    return g.concat([g.mul(a, b), g.tanh(c), a], 2);
  },
  reshape_expand: (g, [x]) => {
    const spread = g.expand(g.unsqueeze(g.reshape(x!, [2, 3, 2]), [1]), g.ints([2, 4, 3, 2]));
    const factors = g.constant({ dtype: 'float32', shape: [4, 1, 1], data: Float32Array.of(0, 1, 2, 3) });
    return g.mul(spread, factors);
  },
  pad_roll: (g, [x]) => {
    const roll = (t: Value, by: number, axis: number): Value =>
      g.concat([g.slice(t, [by], [9], [axis]), g.slice(t, [0], [by], [axis])], axis);
    const rolled = roll(roll(x!, 1, 1), 2, 2);
    return g.op('Pad', [rolled, g.ints([0, 0, 1, 0, 0, 1, 2, 0])])[0]!;
  },
  reduce_mean_keep: (g, [x]) => g.reduceMean(x!, [1]),
  reduce_sum: (g, [x]) => g.reduceSum(x!, [0, 2], false),
  reduce_max: (g, [x]) => g.reduceMax(x!, [1], false),
  l2_normalize: (g, [x]) => unit(g, x!),
  reduce_var: (g, [x]) => {
    const off = g.sub(x!, g.reduceMean(x!, [2]));
    return g.reduceMean(g.mul(off, off), [2], false);
  },
  cumsum: (g, [x]) => g.op('CumSum', [x!, g.scalar(1, 'int64')])[0]!,
  reused_input: (g, [x]) => g.add(g.mul(x!, x!), x!),
  einsum_bhqd: one('Einsum', { equation: 'bqhd,bkhd->bhqk' }),
  resize_bilinear: (g, [x]) =>
    resized(g, x!, { mode: 'linear', coordinate_transformation_mode: 'half_pixel' }),
  resize_nearest: (g, [x]) =>
    resized(g, x!, { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }),
  pixel_unshuffle: (g, [x]) => {
    // PyTorch has the block's place inside the channel, ONNX outside.
    const blocks = g.op('SpaceToDepth', [x!], { blocksize: 2 })[0]!;
    const [n, d, h, w] = blocks.shape as [number, number, number, number];
    return g.reshape(g.transpose(g.reshape(blocks, [n, 4, d / 4, h, w]), [0, 2, 1, 3, 4]), [n, d, h, w]);
  },
  rotary_half: (g, [q, k, pos]) => {
    const frequencies = Float32Array.from({ length: 4 }, (_, i) => 10000 ** (-i / 4));
    const row = g.constant({ dtype: 'float32', shape: [1, 1, 4], data: frequencies });
    const half = g.mul(g.unsqueeze(g.cast(pos!, 'float32'), [-1]), row);
    const angles = g.unsqueeze(g.concat([half, half], -1), [1]);
    const [cos, sin] = [g.op('Cos', [angles])[0]!, g.op('Sin', [angles])[0]!];
    return [rotated(g, q!, cos, sin), rotated(g, k!, cos, sin)];
  },
  sdpa_causal: sdpa,
  sdpa_past: sdpa,
  sdpa_causal_gqa: (g, [q, k, v]) => {
    const shared = (x: Value): Value =>
      g.reshape(g.expand(g.unsqueeze(x, [2]), g.ints([1, 2, 2, 5, 8])), [1, 4, 5, 8]);
    return attend(g, q!, shared(k!), shared(v!), causal(g, q!, k!));
  },
  sdpa_bias: (g, [q, k, v, mask]) => attend(g, q!, k!, v!, mask!),
  mha_block: (g, [x, inW, inB, outW, outB]) => {
    const packed = g.add(g.matmul(x!, g.transpose(inW!, [1, 0])), inB!);
    const heads = g
      .split(packed, [8, 8, 8], -1)
      .map((part) => g.transpose(g.reshape(part, [2, 5, 2, 4]), [0, 2, 1, 3])) as [Value, Value, Value];
    const joined = g.reshape(g.transpose(attend(g, ...heads), [0, 2, 1, 3]), [2, 5, 8]);
    return g.add(g.matmul(joined, g.transpose(outW!, [1, 0])), outB!);
  },
};

function resized(g: GraphBuilder, x: Value, attrs: Attrs): Value {
  const scales = g.constant({ dtype: 'float32', shape: [4], data: Float32Array.of(1, 1, 2, 2) });
  return g.op('Resize', [x, null, scales], attrs)[0]!;
}
