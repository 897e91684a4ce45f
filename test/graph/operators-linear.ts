import fc from 'fast-check';
import { filled, type OperatorCase, operatorCase, seed, shape, shapeAxis, size } from './operator-cases.ts';

type Arb = fc.Arbitrary<OperatorCase>;

const conv: Arb = fc
  .record({
    seed,
    batch: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 3 }),
    depth: fc.integer({ min: 1, max: 3 }),
    perGroup: fc.integer({ min: 1, max: 3 }),
    spatial: fc.array(fc.integer({ min: 5, max: 8 }), { minLength: 1, maxLength: 3 }),
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    pad: fc.integer({ min: 0, max: 2 }),
    auto: fc.constantFrom('NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
    bias: fc.boolean(),
  })
  .map((r) => {
    const rank = r.spatial.length;
    const every = (v: number): number[] => new Array<number>(rank).fill(v);
    const dilation = r.auto === 'NOTSET' ? r.dilation : 1;
    const filters = r.group * r.perGroup;
    return operatorCase('Conv', {
      inputs: [
        filled([r.batch, r.group * r.depth, ...r.spatial], r.seed),
        filled([filters, r.depth, ...every(r.kernel)], r.seed + 1),
        r.bias ? filled([filters], r.seed + 2) : null,
      ],
      attrs: {
        group: r.group,
        strides: every(r.stride),
        dilations: every(dilation),
        ...(r.auto === 'NOTSET'
          ? { pads: [...every(r.pad), ...every(Math.max(0, r.pad - 1))] }
          : { auto_pad: r.auto }),
      },
      tolerance: 1e-4,
    });
  });

const convTranspose: Arb = fc
  .record({
    seed,
    group: fc.integer({ min: 1, max: 2 }),
    depth: size,
    filters: size,
    spatial: fc.array(fc.integer({ min: 2, max: 5 }), { minLength: 1, maxLength: 2 }),
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    pad: fc.integer({ min: 0, max: 1 }),
    bias: fc.boolean(),
  })
  .map((r) => {
    const every = (v: number): number[] => r.spatial.map(() => v);
    const extra = r.stride > 1 ? 1 : 0;
    const pad = r.kernel > 1 ? r.pad : 0;
    return operatorCase('ConvTranspose', {
      inputs: [
        filled([1, r.group * r.depth, ...r.spatial], r.seed),
        filled([r.group * r.depth, r.filters, ...every(r.kernel)], r.seed + 1),
        r.bias ? filled([r.group * r.filters], r.seed + 2) : null,
      ],
      attrs: {
        group: r.group,
        strides: every(r.stride),
        dilations: every(r.dilation),
        pads: every(pad).concat(every(pad)),
        output_padding: every(extra),
      },
      tolerance: 1e-4,
    });
  });

const pool = (op: string, extra: (r: { flag: boolean }) => Partial<OperatorCase>): Arb =>
  fc
    .record({
      seed,
      spatial: fc.array(fc.integer({ min: 4, max: 8 }), { minLength: 1, maxLength: 2 }),
      kernel: fc.integer({ min: 2, max: 3 }),
      stride: fc.integer({ min: 1, max: 3 }),
      pad: fc.integer({ min: 0, max: 1 }),
      ceil: fc.constantFrom(0, 1),
      flag: fc.boolean(),
    })
    .map((r) => {
      const every = (v: number): number[] => r.spatial.map(() => v);
      const more = extra(r);
      return operatorCase(op, {
        inputs: [filled([2, 2, ...r.spatial], r.seed)],
        ...more,
        attrs: {
          kernel_shape: every(r.kernel),
          strides: every(r.stride),
          pads: [...every(r.pad), ...every(r.pad)],
          ceil_mode: r.ceil,
          ...more.attrs,
        },
      });
    });

const gemm: Arb = fc
  .record({
    seed,
    m: size,
    k: size,
    n: size,
    transA: fc.constantFrom(0, 1),
    transB: fc.constantFrom(0, 1),
    alpha: fc.constantFrom(1, 0.5),
    beta: fc.constantFrom(1, 2),
    bias: fc.constantFrom('none', 'row', 'column', 'full', 'scalar'),
  })
  .map((r) => {
    const biases = { none: null, row: [r.n], column: [r.m, 1], full: [r.m, r.n], scalar: [1] };
    const bias = biases[r.bias as keyof typeof biases];
    return operatorCase('Gemm', {
      inputs: [
        filled(r.transA ? [r.k, r.m] : [r.m, r.k], r.seed),
        filled(r.transB ? [r.n, r.k] : [r.k, r.n], r.seed + 1),
        bias && filled(bias, r.seed + 2),
      ],
      attrs: { transA: r.transA, transB: r.transB, alpha: r.alpha, beta: r.beta },
      floats: ['alpha', 'beta'],
    });
  });

const matmul: Arb = fc
  .record({
    seed,
    m: size,
    k: size,
    n: size,
    batch: shape(0, 2),
    a: fc.boolean(),
    b: fc.boolean(),
    vectors: fc.nat(5),
  })
  .map((r) =>
    operatorCase('MatMul', {
      inputs: [
        filled(r.vectors === 0 ? [r.k] : [...r.batch.map((d) => (r.a ? 1 : d)), r.m, r.k], r.seed),
        filled(r.vectors === 1 ? [r.k] : [...r.batch.map((d) => (r.b ? 1 : d)), r.k, r.n], r.seed + 1),
      ],
    }),
  );

/** 4 bits, whose product onnxruntime computes in float32, and 8 bits, which it unpacks; the zero point is given or the middle. */
const matmulNBits: Arb = fc
  .record({
    seed,
    batch: shape(0, 2),
    m: size,
    k: fc.integer({ min: 1, max: 100 }),
    n: fc.integer({ min: 1, max: 9 }),
    bits: fc.constantFrom(4, 8),
    block: fc.constantFrom(16, 32, 64),
    zero: fc.constantFrom('none', 'packed', 'float'),
    bias: fc.boolean(),
  })
  .map((r) => {
    const blocks = Math.ceil(r.k / r.block);
    const zeros = {
      none: null,
      packed: filled([r.n * Math.ceil((blocks * r.bits) / 8)], r.seed + 3, 0, 256, 'uint8'),
      float: filled([r.n * blocks], r.seed + 3, 0, 2 ** r.bits),
    };
    // The runtime takes zero points that are no whole numbers for 4 bits alone.
    const zero = r.zero === 'float' && r.bits === 8 ? null : zeros[r.zero as keyof typeof zeros];
    return operatorCase('MatMulNBits', {
      domain: 'com.microsoft',
      inputs: [
        filled([...r.batch, r.m, r.k], r.seed),
        filled([r.n, blocks, (r.block * r.bits) / 8], r.seed + 1, 0, 256, 'uint8'),
        filled([r.n * blocks], r.seed + 2, -0.1, 0.1),
        ...(zero || r.bias ? [zero] : []),
        ...(r.bias ? [null, filled([r.n], r.seed + 4)] : []),
      ],
      fixed: [1, 2, 3, 5],
      attrs: { K: r.k, N: r.n, bits: r.bits, block_size: r.block },
      tolerance: 1e-3,
    });
  });

const perChannel = (op: string, statistics: boolean): Arb =>
  fc.tuple(shape(3, 4), seed, fc.constantFrom(1e-5, 0.01)).map(([s, n, epsilon]) => {
    const channel = (k: number) => filled([s[1]!], n + k, 0.2, 2);
    return operatorCase(op, {
      inputs: [filled(s, n), channel(1), channel(2), ...(statistics ? [channel(3), channel(4)] : [])],
      attrs: { epsilon },
      floats: ['epsilon'],
      tolerance: 1e-3,
    });
  });

/** Products, convolutions, pools and norms. */
export const LINEAR: Readonly<Record<string, Arb>> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool('MaxPool', (r) => ({ outputs: r.flag ? 2 : 1, opset: 12 })),
  AveragePool: pool('AveragePool', (r) => ({ opset: 19, attrs: { count_include_pad: Number(r.flag) } })),
  GlobalAveragePool: fc
    .tuple(shape(3, 4), seed)
    .map(([s, n]) => operatorCase('GlobalAveragePool', { inputs: [filled(s, n)] })),
  GlobalMaxPool: fc
    .tuple(shape(3, 4), seed)
    .map(([s, n]) => operatorCase('GlobalMaxPool', { inputs: [filled(s, n)] })),
  Gemm: gemm,
  MatMul: matmul,
  MatMulNBits: matmulNBits,
  MatMulInteger: fc.tuple(size, size, size, seed, fc.boolean()).map(([m, k, n, s, signed]) =>
    operatorCase('MatMulInteger', {
      inputs: signed
        ? [
            // Of seven bits: onnxruntime adds two such products in 16 bits on x86 processors without VNNI, which saturates.
            filled([m, k], s, 0, 127, 'uint8'),
            filled([k, n], s + 1, -128, 127, 'int8'),
            filled([], s, 0, 255, 'uint8'),
            filled([n], s, -9, 9, 'int8'),
          ]
        : [
            filled([m, k], s, 0, 255, 'uint8'),
            filled([k, n], s + 1, 0, 255, 'uint8'),
            filled([], s, 0, 255, 'uint8'),
            filled([n], s, 0, 255, 'uint8'),
          ],
      fixed: [3],
    }),
  ),
  Einsum: fc
    .tuple(
      fc.constantFrom('bij,bjk->bik', 'bij,bkj->bik', 'bij,bij->b', 'bij,bij->bji'),
      size,
      size,
      size,
      seed,
    )
    .map(([equation, b, i, j, n]) => {
      const right = equation.includes('bjk') ? [b, j, i] : [b, i, j];
      return operatorCase('Einsum', {
        inputs: [filled([b, i, j], n), filled(right, n + 1)],
        attrs: { equation },
      });
    }),
  BatchNormalization: perChannel('BatchNormalization', true),
  InstanceNormalization: perChannel('InstanceNormalization', false),
  GroupNormalization: fc.tuple(size, size, size, seed).map(([groups, per, side, n]) =>
    operatorCase('GroupNormalization', {
      inputs: [
        filled([2, groups * per, side + 1], n),
        filled([groups * per], n + 1),
        filled([groups * per], n + 2),
      ],
      attrs: { num_groups: groups, epsilon: 1e-5 },
      floats: ['epsilon'],
      opset: 21,
      tolerance: 1e-3,
    }),
  ),
  LayerNormalization: fc.tuple(shapeAxis(), seed, fc.boolean()).map(([[s, axis], n, bias]) => {
    const tail = s.slice(axis);
    return operatorCase('LayerNormalization', {
      inputs: [filled(s, n), filled(tail, n + 1), ...(bias ? [filled(tail, n + 2)] : [])],
      attrs: { axis, epsilon: 1e-3 },
      floats: ['epsilon'],
      tolerance: 1e-3,
    });
  }),
  LpNormalization: fc
    .tuple(shapeAxis(), seed, fc.constantFrom(1, 2))
    .map(([[s, axis], n, p]) =>
      operatorCase('LpNormalization', { inputs: [filled(s, n, 0.1, 3)], attrs: { axis, p } }),
    ),
};
