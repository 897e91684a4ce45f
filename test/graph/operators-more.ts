import fc from 'fast-check';
import { float32 } from '../../src/core/tensor.ts';
import {
  filled,
  flags,
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

const side = fc.integer({ min: 2, max: 5 });

/** Cubic resampling with the weights beyond the ends counted or left out, and other places of the samples. */
const cubic: Arb = fc
  .record({
    seed,
    from: fc.tuple(side, side),
    to: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })),
    where: fc.constantFrom('half_pixel', 'align_corners', 'asymmetric'),
    outside: fc.nat(1),
    a: fc.constantFrom(-0.75, -0.5),
  })
  .map((r) =>
    operatorCase('Resize', {
      inputs: [filled([1, 2, ...r.from], r.seed), null, null, vector([1, 2, ...r.to])],
      attrs: {
        mode: 'cubic',
        coordinate_transformation_mode: r.where,
        cubic_coeff_a: r.a,
        exclude_outside: r.where === 'align_corners' ? 0 : r.outside,
      },
      floats: ['cubic_coeff_a'],
      fixed: [1, 2, 3],
      opset: 18,
      tolerance: 1e-4,
    }),
  );

/** A part of the image, with a value for what lies outside; onnxruntime takes an unchanged size for no work at all. */
const crop: Arb = fc
  .tuple(side, side, size, size, seed, fc.constantFrom('linear', 'nearest'))
  .map(([h, w, y, x, n, mode]) =>
    operatorCase('Resize', {
      inputs: [
        filled([1, 1, h, w], n),
        float32([8], [0, 0, 0.125, -0.25, 1, 1, 0.75, 1.125]),
        null,
        vector([1, 1, h + y, w + x]),
      ],
      attrs: { mode, coordinate_transformation_mode: 'tf_crop_and_resize', extrapolation_value: 5 },
      floats: ['extrapolation_value'],
      fixed: [1, 2, 3],
      opset: 18,
      tolerance: 1e-4,
    }),
  );

const aspect: Arb = fc
  .tuple(side, side, size, size, seed, fc.constantFrom('not_larger', 'not_smaller'))
  .map(([h, w, y, x, n, policy]) =>
    operatorCase('Resize', {
      inputs: [filled([1, 1, h, w], n), null, null, vector([2 * y, 2 * x])],
      attrs: { mode: 'linear', axes: [2, 3], keep_aspect_ratio_policy: policy },
      fixed: [1, 2, 3],
      opset: 18,
      tolerance: 1e-4,
    }),
  );

/** Operators that exporters write rarely. */
export const MORE: Readonly<Record<string, Arb>> = {
  'Resize cubic': cubic,
  'Resize crop': crop,
  'Resize aspect': aspect,
  LRN: fc
    .tuple(fc.integer({ min: 1, max: 6 }), size, size, seed, fc.constantFrom(1, 3, 5))
    .map(([ch, h, w, n, s]) =>
      operatorCase('LRN', {
        inputs: [filled([2, ch, h, w], n)],
        attrs: { size: s, alpha: 0.25, beta: 0.75, bias: 2 },
        floats: ['alpha', 'beta', 'bias'],
      }),
    ),
  LpPool: fc
    .tuple(side, side, seed, fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2 }))
    .map(([h, w, n, p, stride]) =>
      operatorCase('LpPool', {
        inputs: [filled([1, 2, h, w], n)],
        attrs: { kernel_shape: [2, 2], p, strides: [stride, 1], pads: [0, 1, 1, 0] },
      }),
    ),
  MeanVarianceNormalization: fc
    .tuple(size, side, side, seed)
    .map(([c, h, w, n]) =>
      operatorCase('MeanVarianceNormalization', { inputs: [filled([2, c, h, w], n)], tolerance: 1e-4 }),
    ),
  Compress: fc.tuple(shapeAxis(), seed, fc.boolean()).map(([[s, axis], n, flat]) =>
    operatorCase('Compress', {
      inputs: [filled(s, n), flags([flat ? 1 : s.at(axis)!], n + 1)],
      attrs: flat ? {} : { axis },
    }),
  ),
  EyeLike: fc
    .tuple(shape(2, 2), fc.integer({ min: -2, max: 2 }))
    .map(([s, k]) => operatorCase('EyeLike', { inputs: [filled(s, 1)], attrs: { k, dtype: 7 } })),
  'BatchNormalization training': fc.tuple(size, side, side, seed).map(([c, h, w, n]) =>
    operatorCase('BatchNormalization', {
      inputs: [
        filled([3, c, h, w], n),
        filled([c], n, 1, 2),
        filled([c], n),
        filled([c], n),
        filled([c], n, 1, 2),
      ],
      attrs: { training_mode: 1, momentum: 0.75, epsilon: 0.01 },
      floats: ['momentum', 'epsilon'],
      outputs: 3,
      tolerance: 1e-4,
    }),
  ),
  'Einsum ellipsis': fc
    .tuple(
      size,
      size,
      size,
      size,
      seed,
      fc.constantFrom('...ij,...jk->...ik', '...ij,jk', 'a...b,b...->a...'),
    )
    .map(([a, b, c, d, n, equation]) => {
      const shapes = {
        '...ij,...jk->...ik': [
          [a, b, c],
          [a, c, d],
        ],
        '...ij,jk': [
          [a, b, c],
          [c, d],
        ],
        'a...b,b...->a...': [
          [a, b, c],
          [c, b],
        ],
      }[equation]!;
      return operatorCase('Einsum', {
        inputs: shapes.map((s, i) => filled(s, n + i)),
        attrs: { equation },
        tolerance: 1e-4,
      });
    }),
  'MaxPool column-major': fc.tuple(side, side, seed).map(([h, w, n]) =>
    operatorCase('MaxPool', {
      inputs: [filled([1, 2, h, w], n)],
      attrs: { kernel_shape: [2, 2], storage_order: 1 },
      outputs: 2,
    }),
  ),
  'QuantizeLinear declared': fc
    .tuple(shape(1, 2), seed, fc.constantFrom(2, 3, 4, 5))
    .map(([s, n, output_dtype]) =>
      operatorCase('QuantizeLinear', {
        inputs: [filled(s, n, -9, 9), scalar(0.25)],
        attrs: { output_dtype },
        opset: 21,
      }),
    ),
};
