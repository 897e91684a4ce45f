import fc from 'fast-check';
import type { Sketch, Value } from '../sketch.ts';
import { draw, numbered, operand, type Step, type Steps } from './draws.ts';

const shapeOf = (v: Value): readonly number[] => v.tensor.shape;

const pair = (min: number, max: number) => fc.array(fc.integer({ min, max }), { minLength: 3, maxLength: 3 });
const windowed = fc.record({
  d: draw,
  spatial: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 }),
  batch: fc.integer({ min: 1, max: 2 }),
  kernel: pair(1, 3),
  strides: pair(1, 3),
  dilations: pair(1, 2),
  before: pair(0, 2),
  after: pair(0, 2),
  auto: fc.constantFrom('NOTSET', 'NOTSET', 'NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'),
  /** Left out where they are the default. */
  spelt: fc.boolean(),
});
type Windowed = typeof windowed extends fc.Arbitrary<infer T> ? T : never;

interface Fitted {
  readonly kernel: number[];
  readonly attrs: Record<string, readonly number[] | string>;
}

/** The window of a draw, made to fit into the spatial sizes; null when it can't. */
function fitted(w: Windowed, sizes: readonly number[], dilated: boolean): Fitted | null {
  const rank = sizes.length;
  const kernel = w.kernel.slice(0, rank);
  const dilations = dilated && w.auto !== 'SAME_LOWER' ? w.dilations.slice(0, rank) : kernel.map(() => 1);
  const pads = [...w.before.slice(0, rank), ...w.after.slice(0, rank)];
  const reach = kernel.map((k, i) => (k - 1) * dilations[i]! + 1);
  if (w.auto === 'NOTSET' && reach.some((r, i) => sizes[i]! + pads[i]! + pads[rank + i]! < r)) return null;
  if (w.auto === 'VALID' && reach.some((r, i) => sizes[i]! < r)) return null;
  const strides = w.strides.slice(0, rank);
  const plain = (list: readonly number[], value: number) => !w.spelt && list.every((n) => n === value);
  return {
    kernel,
    attrs: {
      ...(plain(strides, 1) ? {} : { strides }),
      ...(dilated && !plain(dilations, 1) ? { dilations } : {}),
      ...(w.auto === 'NOTSET' ? (plain(pads, 0) ? {} : { pads }) : { auto_pad: w.auto }),
    },
  };
}

function image(s: Sketch, w: Windowed, channels: number, divisor: number): Value {
  return operand(
    s,
    { ...w.d, shape: [w.batch, channels, ...w.spatial] },
    {
      dtypes: ['float32'],
      rank: [3, 2 + w.spatial.length],
      where: (v) => !shapeOf(v).includes(0) && shapeOf(v)[1]! % divisor === 0,
    },
  );
}

const conv = fc
  .tuple(
    windowed,
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 3 }),
    fc.boolean(),
    fc.boolean(),
  )
  .map(
    ([w, group, depth, filters, bias, declared]): Step =>
      (s) => {
        const x = image(s, w, group * depth, group);
        const window = fitted(w, shapeOf(x).slice(2), true);
        if (!window) return;
        const weight = numbered(
          'float32',
          [group * filters, shapeOf(x)[1]! / group, ...window.kernel],
          w.d.seed + 1,
        );
        const inputs = [x, w.d.constant ? s.constant(weight) : s.input(weight)];
        if (bias) inputs.push(s.constant(numbered('float32', [group * filters], w.d.seed + 2)));
        s.emit('Conv', inputs, {
          ...window.attrs,
          ...(group > 1 && { group }),
          ...(declared && { kernel_shape: window.kernel }),
        });
      },
  );

const transposed = fc
  .tuple(windowed, fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 }), fc.boolean(), fc.boolean())
  .map(
    ([w, group, filters, bias, extra]): Step =>
      (s) => {
        const x = image(s, w, group * 2, group);
        const sizes = shapeOf(x).slice(2);
        const { kernel, attrs } = fitted(
          { ...w, auto: 'NOTSET' },
          sizes.map(() => 99),
          true,
        )!;
        const dilations = (attrs.dilations as number[] | undefined) ?? kernel.map(() => 1);
        const strides = (attrs.strides as number[] | undefined) ?? kernel.map(() => 1);
        const pads = (attrs.pads as number[] | undefined) ?? [...kernel, ...kernel].map(() => 0);
        const full = sizes.map(
          (n, i) =>
            (n - 1) * strides[i]! + (kernel[i]! - 1) * dilations[i]! + 1 - pads[i]! - pads[sizes.length + i]!,
        );
        if (full.some((n) => n < 1)) return;
        const room = strides.map((n) => n - 1);
        const more =
          extra && room.some((n) => n > 0) ? { output_padding: room.map((n) => Math.min(n, 1)) } : {};
        const weight = numbered('float32', [shapeOf(x)[1]!, filters, ...kernel], w.d.seed + 1);
        const inputs = [x, s.constant(weight)];
        if (bias) inputs.push(s.constant(numbered('float32', [group * filters], w.d.seed + 2)));
        s.emit('ConvTranspose', inputs, { ...attrs, ...more, ...(group > 1 && { group }) });
      },
  );

/** The first operator set whose pools take dilations. */
const DILATED: Readonly<Record<string, number>> = { MaxPool: 10, AveragePool: 19, LpPool: 18 };

function pool(op: string): fc.Arbitrary<Step> {
  return fc.tuple(windowed, fc.nat(1), fc.nat(1), fc.boolean()).map(
    ([w, ceil, padded, indices]): Step =>
      (s) => {
        const x = image(s, w, 2, 1);
        const sizes = shapeOf(x).slice(2);
        const window = fitted(w, sizes, s.opset >= DILATED[op]!);
        if (!window) return;
        // A window may not lie in the padding alone.
        const pads = (window.attrs.pads as number[] | undefined) ?? [];
        if (pads.some((n, i) => n >= window.kernel[i % sizes.length]!)) return;
        const given = {
          ...window.attrs,
          kernel_shape: window.kernel,
          ...(ceil && s.opset >= (op === 'LpPool' ? 18 : 10) && { ceil_mode: 1 }),
          ...(op === 'LpPool' && { p: 1 + padded }),
          ...(op === 'AveragePool' && padded && { count_include_pad: 1 }),
        };
        const two = op === 'MaxPool' && indices && s.opset >= 8;
        s.emit(op, [x], given, { outputs: two ? 2 : 1, exact: op === 'MaxPool' });
      },
  );
}

const global = (op: string): fc.Arbitrary<Step> =>
  windowed.map(
    (w): Step =>
      (s) => {
        s.emit(op, [image(s, w, 2, 1)], {}, { exact: op === 'GlobalMaxPool' });
      },
  );

const resize = fc
  .record({
    d: draw,
    sizes: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
    to: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })),
    mode: fc.constantFrom('nearest', 'linear', 'cubic'),
    where: fc.constantFrom('half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel'),
    nearest: fc.constantFrom('round_prefer_floor', 'floor', 'ceil', 'round_prefer_ceil'),
    scaled: fc.boolean(),
  })
  .map(
    ({ d, sizes, to, mode, where, nearest, scaled }): Step =>
      (s) => {
        if (s.opset < 11) return;
        const x = operand(
          s,
          { ...d, shape: [1, 2, ...sizes] },
          { dtypes: ['float32'], rank: [4, 4], where: (v) => !shapeOf(v).includes(0) },
        );
        // Where float32 rounds a coordinate across a border, implementations differ: doubled sizes are exact.
        const whole = mode === 'nearest' || scaled;
        const target = shapeOf(x)
          .slice(2)
          .map((n, i) => (whole ? n * (1 + (to[i]! % 3 === 2 ? 3 : to[i]! % 3)) : to[i]!));
        if (mode === 'nearest' && where === 'align_corners') return;
        const attrs = {
          mode,
          coordinate_transformation_mode: where,
          ...(mode === 'nearest' && { nearest_mode: nearest }),
        };
        const size = s.constant({
          dtype: 'int64',
          shape: [4],
          data: BigInt64Array.from([...shapeOf(x).slice(0, 2), ...target], BigInt),
        });
        const scale = s.constant({
          dtype: 'float32',
          shape: [4],
          data: Float32Array.from([1, 1, ...target.map((n, i) => n / shapeOf(x)[2 + i]!)]),
        });
        const none =
          s.opset < 13 ? s.constant({ dtype: 'float32', shape: [0], data: new Float32Array() }) : null;
        s.emit('Resize', scaled ? [x, none, scale] : [x, none, none, size], attrs);
      },
  );

/** Sliding windows, and resampling. */
export const windows: Steps = {
  Conv: conv,
  ConvTranspose: transposed,
  MaxPool: pool('MaxPool'),
  AveragePool: pool('AveragePool'),
  LpPool: pool('LpPool'),
  GlobalAveragePool: global('GlobalAveragePool'),
  GlobalMaxPool: global('GlobalMaxPool'),
  Resize: resize,
};
