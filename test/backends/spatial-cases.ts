import fc from 'fast-check';
import { float32, int64 } from '../../src/core/tensor.ts';
import { filled, type OperatorCase, operatorCase, seed } from '../graph/operator-cases.ts';

type Arb = fc.Arbitrary<OperatorCase>;
const int = (min: number, max: number) => fc.integer({ min, max });
const list = (length: number, min: number, max: number) =>
  fc.array(int(min, max), { minLength: length, maxLength: length });
/** Mostly the first, now and then the second. */
const mostly = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 4, arbitrary: usual }, { weight: 1, arbitrary: odd });

/** A window over `rank` axes, each with its own numbers; padding may be beyond the kernel, or below zero. */
const window = (rank: number, isDilated = true) =>
  fc.record({
    kernel: list(rank, 1, 3),
    strides: list(rank, 1, 3),
    dilations: isDilated
      ? mostly(fc.constant(new Array<number>(rank).fill(1)), list(rank, 1, 2))
      : fc.constant(null),
    pads: fc.oneof(
      { weight: 3, arbitrary: fc.constant(null) },
      { weight: 6, arbitrary: list(2 * rank, 0, 2) },
      { weight: 1, arbitrary: list(2 * rank, -1, 4) },
    ),
    auto: mostly(fc.constant('NOTSET'), fc.constantFrom('SAME_UPPER', 'SAME_LOWER', 'VALID')),
  });

const attrsOf = (w: {
  strides: number[];
  dilations: number[] | null;
  pads: number[] | null;
  auto: string;
}) => ({
  strides: w.strides,
  ...(w.dilations && { dilations: w.dilations }),
  ...(w.auto !== 'NOTSET' ? { auto_pad: w.auto } : w.pads && { pads: w.pads }),
});

const rankOf = mostly(fc.constant(2), fc.constantFrom(1, 3));
const extents = (rank: number) => list(rank, 3, 8);

/** Groups × channels and filters of each: one group, some, or as many as channels. */
const grouping = fc.oneof(
  fc.record({ group: fc.constant(1), depth: int(1, 5), per: int(1, 9) }),
  fc.record({ group: int(2, 6), depth: int(1, 3), per: int(1, 3) }),
  fc.record({ group: int(2, 9), depth: fc.constant(1), per: int(1, 2) }),
);

const conv: Arb = rankOf.chain((rank) =>
  fc
    .record({ seed, batch: int(0, 2), size: extents(rank), w: window(rank), g: grouping, bias: fc.boolean() })
    .map(({ seed, batch, size, w, g, bias }) =>
      operatorCase('Conv', {
        inputs: [
          filled([batch, g.group * g.depth, ...size], seed),
          filled([g.group * g.per, g.depth, ...w.kernel], seed + 1),
          bias ? filled([g.group * g.per], seed + 2) : null,
        ],
        attrs: { group: g.group, ...attrsOf(w) },
        tolerance: 1e-4,
      }),
    ),
);

const fusedConv: Arb = fc
  .tuple(conv, fc.constantFrom('', 'Relu', 'Relu6', 'LeakyRelu', 'Elu', 'Sigmoid'))
  .map(([c, activation]) => ({
    ...c,
    op: 'FusedConv',
    domain: 'versus',
    attrs: { ...c.attrs, activation, ...(activation === 'LeakyRelu' && { activation_alpha: 0.3 }) },
  }));

const convTranspose: Arb = int(1, 2).chain((rank) =>
  fc
    .record({
      seed,
      batch: int(0, 2),
      size: list(rank, 1, 5),
      w: window(rank),
      g: grouping,
      bias: fc.boolean(),
      extra: fc.option(list(rank, 0, 2)),
      shape: fc.option(list(rank, 4, 12), { freq: 4 }),
    })
    .map(({ seed, batch, size, w, g, bias, extra, shape }) =>
      operatorCase('ConvTranspose', {
        inputs: [
          filled([batch, g.group * g.depth, ...size], seed),
          filled([g.group * g.depth, g.per, ...w.kernel], seed + 1),
          bias ? filled([g.group * g.per], seed + 2) : null,
        ],
        attrs: {
          group: g.group,
          ...attrsOf(w),
          ...(extra && { output_padding: extra }),
          ...(shape && { output_shape: shape }),
        },
        tolerance: 1e-4,
      }),
    ),
);

const pool = (op: string, isDilated: boolean): Arb =>
  rankOf.chain((rank) =>
    fc
      .record({
        seed,
        batch: int(0, 2),
        size: extents(rank),
        channels: int(1, 5),
        w: window(rank, isDilated),
        ceil: fc.boolean(),
        include: fc.boolean(),
      })
      .map(({ seed, batch, size, channels, w, ceil, include }) =>
        operatorCase(op, {
          inputs: [filled([batch, channels, ...size], seed)],
          attrs: {
            kernel_shape: w.kernel,
            ...attrsOf(w),
            ...(ceil && { ceil_mode: 1 }),
            ...(op === 'AveragePool' && include && { count_include_pad: 1 }),
          },
          opset: 19,
        }),
      ),
  );

const globalPool = (op: string): Arb =>
  rankOf.chain((rank) =>
    fc
      .record({ seed, batch: int(1, 2), channels: int(1, 5), size: extents(rank) })
      .map(({ seed, batch, channels, size }) =>
        operatorCase(op, { inputs: [filled([batch, channels, ...size], seed)] }),
      ),
  );

const depth = (op: string): Arb =>
  fc
    .record({
      seed,
      batch: int(0, 2),
      b: int(1, 3),
      h: int(1, 3),
      w: int(1, 3),
      d: int(1, 3),
      crd: fc.boolean(),
    })
    .map(({ seed, batch, b, h, w, d, crd }) =>
      operatorCase(op, {
        inputs: [filled(op === 'SpaceToDepth' ? [batch, d, h * b, w * b] : [batch, d * b * b, h, w], seed)],
        attrs: { blocksize: b, ...(crd && op === 'DepthToSpace' && { mode: 'CRD' }) },
      }),
    );

const perChannel = (channels: number, from: number) =>
  [0, 1].map((i) => filled([channels], from + i)).concat([filled([channels], from + 2)]);

const batchNorm: Arb = fc
  .record({
    seed,
    channels: int(1, 9),
    batch: int(1, 3),
    size: fc.array(int(1, 5), { maxLength: 3 }),
    train: fc.boolean(),
  })
  .map(({ seed, channels, batch, size, train }) =>
    operatorCase('BatchNormalization', {
      inputs: [
        filled([batch, channels, ...size], seed),
        ...perChannel(channels, seed + 1),
        filled([channels], seed + 4, 0.1, 3),
      ],
      attrs: train ? { training_mode: 1, momentum: 0.7, epsilon: 0.1 } : { epsilon: 0.01 },
      outputs: train ? 3 : 1,
      tolerance: 1e-4,
    }),
  );

const instanceNorm: Arb = fc
  .record({
    seed,
    channels: int(1, 5),
    batch: int(1, 2),
    size: fc.array(int(2, 5), { minLength: 1, maxLength: 3 }),
  })
  .map(({ seed, channels, batch, size }) =>
    operatorCase('InstanceNormalization', {
      inputs: [
        filled([batch, channels, ...size], seed),
        filled([channels], seed + 1),
        filled([channels], seed + 2),
      ],
      attrs: { epsilon: 0.01 },
      tolerance: 1e-4,
    }),
  );

const localResponse: Arb = fc
  .record({ seed, channels: int(1, 9), size: fc.array(int(1, 4), { maxLength: 2 }), width: int(1, 6) })
  .map(({ seed, channels, size, width }) =>
    operatorCase('LRN', {
      inputs: [filled([2, channels, ...size], seed)],
      attrs: { size: width, alpha: 0.5, beta: 0.6, bias: 1.5 },
      tolerance: 1e-4,
    }),
  );

const resize: Arb = fc
  .record({
    seed,
    size: list(4, 1, 5),
    to: list(2, 1, 9),
    scales: fc.option(fc.array(fc.constantFrom(0.5, 1, 1.5, 2, 2.6), { minLength: 2, maxLength: 2 })),
    mode: fc.constantFrom('nearest', 'linear', 'linear', 'cubic'),
    where: fc.constantFrom(
      'half_pixel',
      'pytorch_half_pixel',
      'align_corners',
      'asymmetric',
      'half_pixel_symmetric',
    ),
    nearest: fc.constantFrom('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'),
    flags: list(2, 0, 1),
  })
  .map(({ seed, size, to, scales, mode, where, nearest, flags }) =>
    operatorCase('Resize', {
      inputs: [
        filled(size, seed),
        null,
        scales && float32([4], [1, 1, ...scales.map((s, i) => (size[i + 2]! * s < 1 ? 1 : s))]),
        scales ? null : int64([4], [size[0]!, size[1]!, ...to]),
      ],
      fixed: [2, 3],
      attrs: {
        mode,
        coordinate_transformation_mode: where,
        ...(mode === 'nearest' && { nearest_mode: nearest }),
        ...(mode !== 'nearest' && flags[0] === 1 && { antialias: 1 }),
        ...(mode === 'cubic' && flags[1] === 1 && { exclude_outside: 1 }),
      },
      opset: 19,
      tolerance: 1e-4,
    }),
  );

/** Operators over the spatial axes and over channels, by name. */
export const SPATIAL: Readonly<Record<string, Arb>> = {
  Conv: conv,
  FusedConv: fusedConv,
  ConvTranspose: convTranspose,
  MaxPool: pool('MaxPool', true),
  AveragePool: pool('AveragePool', true),
  GlobalAveragePool: globalPool('GlobalAveragePool'),
  GlobalMaxPool: globalPool('GlobalMaxPool'),
  DepthToSpace: depth('DepthToSpace'),
  SpaceToDepth: depth('SpaceToDepth'),
  Resize: resize,
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  LRN: localResponse,
};
