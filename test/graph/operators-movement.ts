import fc from 'fast-check';
import { int64, type Tensor } from '../../src/core/tensor.ts';
import {
  filled,
  type OperatorCase,
  operatorCase,
  scalar,
  seed,
  shape,
  shapeAxis,
  size,
  vector,
} from './operator-cases.ts';

type Arb = fc.Arbitrary<OperatorCase>;

/** Indices in [−size, size). */
const indices = (s: readonly number[], n: number, limit: number): Tensor =>
  filled(s, n, -limit, limit, 'int64');

const slice: Arb = shape(1, 4).chain((s) =>
  fc
    .record({
      seed,
      axes: fc.uniqueArray(fc.integer({ min: 0, max: s.length - 1 }), { minLength: 1, maxLength: s.length }),
      from: fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 4, maxLength: 4 }),
      to: fc.array(fc.integer({ min: -6, max: 9 }), { minLength: 4, maxLength: 4 }),
      step: fc.array(fc.constantFrom(1, 2, -1, -2), { minLength: 4, maxLength: 4 }),
      open: fc.boolean(),
    })
    .map((r) => {
      const ends = r.axes.map((_, i) =>
        r.open ? (r.step[i]! > 0 ? Number.MAX_SAFE_INTEGER : -Number.MAX_SAFE_INTEGER) : r.to[i]!,
      );
      return operatorCase('Slice', {
        inputs: [
          filled(s, r.seed),
          vector(r.axes.map((_, i) => r.from[i]!)),
          vector(ends),
          vector(r.axes),
          vector(r.axes.map((_, i) => r.step[i]!)),
        ],
        fixed: [1, 2, 3, 4],
      });
    }),
);

const pad: Arb = fc
  .tuple(
    fc.array(fc.integer({ min: 3, max: 5 }), { minLength: 1, maxLength: 3 }),
    seed,
    fc.constantFrom('constant', 'reflect', 'edge', 'wrap'),
    fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 6, maxLength: 6 }),
  )
  .map(([s, n, mode, amounts]) =>
    operatorCase('Pad', {
      inputs: [filled(s, n), vector(amounts.slice(0, 2 * s.length)), mode === 'constant' ? scalar(7) : null],
      attrs: { mode },
      fixed: [1, 2],
      opset: 19,
    }),
  );

const resize: Arb = fc
  .record({
    seed,
    height: fc.integer({ min: 2, max: 5 }),
    width: fc.integer({ min: 2, max: 5 }),
    to: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })),
    mode: fc.constantFrom('nearest', 'linear'),
    where: fc.constantFrom('half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'),
    nearest: fc.constantFrom('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'),
    scales: fc.boolean(),
  })
  .map((r) =>
    operatorCase('Resize', {
      inputs: r.scales
        ? [
            filled([1, 2, r.height, r.width], r.seed),
            null,
            { dtype: 'float32', shape: [4], data: new Float32Array([1, 1, 2, 2]) },
          ]
        : [filled([1, 2, r.height, r.width], r.seed), null, null, vector([1, 2, ...r.to])],
      attrs: {
        mode: r.mode,
        coordinate_transformation_mode: r.where,
        ...(r.mode === 'nearest' ? { nearest_mode: r.nearest } : {}),
      },
      fixed: [1, 2, 3],
      opset: 18,
    }),
  );

const scatter = (reduction: string): Arb =>
  fc.tuple(shapeAxis(), seed).map(([[s, axis], n]) => {
    const at = axis < 0 ? axis + s.length : axis;
    // One index per place along the axis: duplicates have no defined order without a reduction.
    const rows = s.map((d, i) => (i === at ? 1 : d));
    return operatorCase('ScatterElements', {
      inputs: [filled(s, n), indices(rows, n, s[at]!), filled(rows, n + 1)],
      attrs: { axis, reduction },
      opset: 18,
    });
  });

const quantised = (dtype: 'uint8' | 'int8'): Arb =>
  fc.tuple(shapeAxis(2), seed, fc.boolean()).map(([[s, axis], n, perAxis]) => {
    const sizes = perAxis ? [s.at(axis)!] : [];
    return operatorCase('DequantizeLinear', {
      inputs: [
        filled(s, n, dtype === 'uint8' ? 0 : -100, 100, dtype),
        filled(sizes, n, 0.01, 1),
        filled(sizes, n, 0, 50, dtype),
      ],
      attrs: { axis },
    });
  });

/** Operators that move, choose or quantise elements. */
export const MOVEMENT: Readonly<Record<string, Arb>> = {
  Transpose: shape(1, 4).chain((s) =>
    fc
      .tuple(
        seed,
        fc.shuffledSubarray(
          s.map((_, i) => i),
          { minLength: s.length },
        ),
      )
      .map(([n, perm]) => operatorCase('Transpose', { inputs: [filled(s, n)], attrs: { perm } })),
  ),
  Expand: fc.tuple(shape(1, 3), seed, size).map(([s, n, d]) =>
    operatorCase('Expand', {
      inputs: [
        filled(
          s.map((v, i) => (i === 0 ? 1 : v)),
          n,
        ),
        vector([d, ...s]),
      ],
      fixed: [1],
    }),
  ),
  Tile: fc
    .tuple(shape(1, 3), seed, fc.array(size, { minLength: 3, maxLength: 3 }))
    .map(([s, n, r]) =>
      operatorCase('Tile', { inputs: [filled(s, n), vector(r.slice(0, s.length))], fixed: [1] }),
    ),
  Concat: fc.tuple(shapeAxis(), seed, size).map(([[s, axis], n, d]) => {
    const other = s.map((v, i) => (i === (axis < 0 ? axis + s.length : axis) ? d : v));
    return operatorCase('Concat', {
      inputs: [filled(s, n), filled(other, n + 1), filled(s, n + 2)],
      attrs: { axis },
    });
  }),
  Split: fc.tuple(shape(1, 3), seed, size, size).map(([s, n, a, b]) =>
    operatorCase('Split', {
      inputs: [filled([a + b, ...s], n), vector([a, b])],
      outputs: 2,
      fixed: [1],
    }),
  ),
  'Split evenly': fc
    .tuple(shape(0, 2), seed, size)
    .map(([s, n, d]) =>
      operatorCase('Split', { inputs: [filled([...s, 3 * d], n)], attrs: { axis: -1 }, outputs: 3 }),
    ),
  Slice: slice,
  Pad: pad,
  DepthToSpace: fc
    .tuple(size, size, size, seed, fc.constantFrom('DCR', 'CRD'))
    .map(([d, h, w, n, mode]) =>
      operatorCase('DepthToSpace', { inputs: [filled([2, d * 4, h, w], n)], attrs: { blocksize: 2, mode } }),
    ),
  SpaceToDepth: fc
    .tuple(size, size, size, seed)
    .map(([d, h, w, n]) =>
      operatorCase('SpaceToDepth', { inputs: [filled([2, d, h * 2, w * 2], n)], attrs: { blocksize: 2 } }),
    ),
  Reshape: fc
    .tuple(size, size, size, seed)
    .map(([a, b, c, n]) =>
      operatorCase('Reshape', { inputs: [filled([a, b, c], n), vector([0, -1])], fixed: [1] }),
    ),
  Flatten: fc
    .tuple(shapeAxis(), seed)
    .map(([[s, axis], n]) => operatorCase('Flatten', { inputs: [filled(s, n)], attrs: { axis } })),
  Squeeze: fc.tuple(shape(1, 2), seed, fc.boolean()).map(([s, n, named]) =>
    operatorCase('Squeeze', {
      inputs: [filled([1, ...s.map((d) => d + 1), 1], n), ...(named ? [vector([-1])] : [])],
      fixed: [1],
    }),
  ),
  Unsqueeze: fc
    .tuple(shape(1, 3), seed)
    .map(([s, n]) => operatorCase('Unsqueeze', { inputs: [filled(s, n), vector([0, -1])], fixed: [1] })),
  Identity: fc.tuple(shape(0), seed).map(([s, n]) => operatorCase('Identity', { inputs: [filled(s, n)] })),
  Shape: fc
    .tuple(shape(2, 4), seed)
    .map(([s, n]) =>
      operatorCase('Shape', { inputs: [filled(s, n)], attrs: { start: 1, end: -1 }, opset: 15 }),
    ),
  Size: fc.tuple(shape(0), seed).map(([s, n]) => operatorCase('Size', { inputs: [filled(s, n)] })),
  Gather: fc
    .tuple(shapeAxis(), shape(0, 2), seed)
    .map(([[s, axis], at, n]) =>
      operatorCase('Gather', { inputs: [filled(s, n), indices(at, n, s.at(axis)!)], attrs: { axis } }),
    ),
  GatherElements: fc.tuple(shapeAxis(), size, seed).map(([[s, axis], d, n]) => {
    const at = s.map((v, i) => (i === (axis < 0 ? axis + s.length : axis) ? d : v));
    return operatorCase('GatherElements', {
      inputs: [filled(s, n), indices(at, n, s.at(axis)!)],
      attrs: { axis },
    });
  }),
  GatherND: fc.tuple(shape(2, 3), size, seed, fc.constantFrom(0, 1)).map(([s, count, n, batch]) => {
    const lead = batch === 1 ? [s[0]!] : [];
    return operatorCase('GatherND', {
      inputs: [filled(s, n), indices([...lead, count, 1], n, s[batch]!)],
      attrs: { batch_dims: batch },
    });
  }),
  ScatterElements: scatter('none'),
  'ScatterElements add': scatter('add'),
  'ScatterElements max': scatter('max'),
  ScatterND: fc.tuple(shape(2, 3), seed, fc.constantFrom('none', 'add', 'mul')).map(([s, n, reduction]) =>
    operatorCase('ScatterND', {
      inputs: [filled(s, n), int64([1, 1], [n % s[0]!]), filled([1, ...s.slice(1)], n + 1)],
      attrs: { reduction },
      opset: 18,
    }),
  ),
  OneHot: fc.tuple(shape(1, 2), seed, fc.integer({ min: -2, max: 1 })).map(([s, n, axis]) =>
    operatorCase('OneHot', {
      inputs: [
        indices(s, n, 5),
        int64([], [4]),
        { dtype: 'float32', shape: [2], data: new Float32Array([-1, 2]) },
      ],
      attrs: { axis },
      fixed: [1],
    }),
  ),
  ConstantOfShape: shape(1, 3).map((s) =>
    operatorCase('ConstantOfShape', {
      inputs: [vector(s)],
      attrs: { value: { kind: 'tensor', dtype: 'int64', shape: [1], data: new BigInt64Array([7n]) } },
    }),
  ),
  Range: fc
    .tuple(fc.integer({ min: -5, max: 5 }), fc.integer({ min: -5, max: 9 }), fc.constantFrom(1, 2, -3))
    .map(([a, b, d]) => operatorCase('Range', { inputs: [int64([], [a]), int64([], [b]), int64([], [d])] })),
  Trilu: fc
    .tuple(shape(2, 3), seed, fc.integer({ min: -2, max: 2 }), fc.constantFrom(0, 1))
    .map(([s, n, k, upper]) =>
      operatorCase('Trilu', { inputs: [filled(s, n), int64([], [k])], attrs: { upper } }),
    ),
  TopK: fc.tuple(shapeAxis(), seed, fc.constantFrom(0, 1)).map(([[s, axis], n, largest]) =>
    operatorCase('TopK', {
      inputs: [filled(s, n), int64([1], [Math.ceil(s.at(axis)! / 2)])],
      attrs: { axis, largest, sorted: 1 },
      outputs: 2,
    }),
  ),
  NonZero: fc
    .tuple(shape(1, 3), seed)
    .map(([s, n]) => operatorCase('NonZero', { inputs: [filled(s, n, 0, 2, 'int64')] })),
  Resize: resize,
  DequantizeLinear: fc.oneof(quantised('uint8'), quantised('int8')),
  QuantizeLinear: fc
    .tuple(shape(1, 3), seed, fc.constantFrom('uint8' as const, 'int8' as const))
    .map(([s, n, dtype]) =>
      operatorCase('QuantizeLinear', {
        inputs: [filled(s, n, -9, 9), scalar(0.05), filled([], n, 0, 50, dtype)],
      }),
    ),
  DynamicQuantizeLinear: fc
    .tuple(shape(1, 3), seed)
    .map(([s, n]) => operatorCase('DynamicQuantizeLinear', { inputs: [filled(s, n, -9, 9)], outputs: 3 })),
};
