import fc from 'fast-check';
import { toNumbers } from '../../../src/core/tensor.ts';
import type { Sketch, Value } from '../sketch.ts';
import { axisIn, draw, numbered, operand, raw, type Step, type Steps } from './draws.ts';

const shapeOf = (v: Value): readonly number[] => v.tensor.shape;
const notEmpty = (v: Value): boolean => !shapeOf(v).includes(0);

/** Numbers whose differences are either none or clear: the root of a variance that is all rounding would be noise. */
const spread = (v: Value): boolean => {
  if (!notEmpty(v)) return false;
  if (v.exact) return true;
  const sorted = toNumbers(v.tensor).sort();
  return (
    sorted.at(-1)! - sorted[0]! > 1 &&
    sorted.every((x, i) => i === 0 || x === sorted[i - 1] || x - sorted[i - 1]! > 1e-2)
  );
};

const along = (op: string): fc.Arbitrary<Step> =>
  fc.tuple(draw, raw, fc.boolean(), fc.boolean()).map(
    ([d, a, plain, half]): Step =>
      (s) => {
        const clear = (v: Value) => notEmpty(v) && (op !== 'Hardmax' || v.exact);
        const x = operand(s, d, {
          dtypes: half && op !== 'Hardmax' ? ['float16'] : ['float32'],
          rank: [1, 4],
          where: clear,
        });
        if (!notEmpty(x)) return;
        const axis = axisIn(a, shapeOf(x).length);
        if (axis < 0 && s.opset < 11) return;
        if (plain && s.opset < 13 && shapeOf(x).length < 2) return;
        s.emit(op, [x], plain ? {} : { axis });
      },
  );

const layer = fc.tuple(draw, raw, fc.boolean(), fc.boolean(), fc.nat(2)).map(
  ([d, a, bias, plain, outputs]): Step =>
    (s) => {
      if (s.opset < 17) return;
      const x = operand(s, d, { dtypes: ['float32'], rank: [1, 4], where: spread });
      if (!notEmpty(x)) return;
      const axis = plain ? -1 : axisIn(a, shapeOf(x).length);
      const shape = shapeOf(x).slice(axis);
      const inputs = [x, s.constant(numbered('float32', shape, d.seed + 1))];
      if (bias) inputs.push(s.constant(numbered('float32', shape, d.seed + 2)));
      const attrs = plain ? {} : { axis, epsilon: 0.01 };
      s.emit('LayerNormalization', inputs, attrs, { floats: ['epsilon'], outputs: 1 + outputs });
    },
);

const rms = fc.tuple(draw, raw).map(
  ([d, a]): Step =>
    (s) => {
      if (s.opset < 23) return;
      const x = operand(s, d, { dtypes: ['float32'], rank: [1, 4], where: notEmpty });
      if (!notEmpty(x)) return;
      const axis = axisIn(a, shapeOf(x).length);
      const scale = s.constant(numbered('float32', shapeOf(x).slice(axis), d.seed + 1));
      s.emit('RMSNormalization', [x, scale], { axis, epsilon: 0.01 }, { floats: ['epsilon'] });
    },
);

/** Images for operators by channel. */
function image(
  s: Sketch,
  d: { pick: number; shape: readonly number[]; seed: number; constant: boolean },
  least: number,
): Value {
  const shape = [1 + ((d.shape[0] ?? 0) % 2), 2, ...[...d.shape.slice(1), 2, 3].slice(0, 2)];
  return operand(s, { ...d, shape }, { dtypes: ['float32'], rank: [least, 4], where: spread });
}

const perChannel = (s: Sketch, n: number, seed: number, low = -2): Value =>
  s.constant(numbered('float32', [n], seed, [low, 3]));

const batch = fc.tuple(draw, fc.boolean()).map(
  ([d, plain]): Step =>
    (s) => {
      if (s.opset < 9) return;
      const x = image(s, d, 2);
      if (!notEmpty(x)) return;
      const n = shapeOf(x)[1]!;
      const [scale, bias, mean, variance] = [1, 2, 3]
        .map((i) => perChannel(s, n, d.seed + i))
        .concat(perChannel(s, n, d.seed + 4, 0.5)) as [Value, Value, Value, Value];
      s.emit('BatchNormalization', [x, scale, bias, mean, variance], plain ? {} : { epsilon: 0.01 }, {
        floats: ['epsilon'],
      });
    },
);

const instance = draw.map(
  (d): Step =>
    (s) => {
      const x = image(s, d, 3);
      if (!notEmpty(x)) return;
      const n = shapeOf(x)[1]!;
      s.emit(
        'InstanceNormalization',
        [x, perChannel(s, n, d.seed + 1), perChannel(s, n, d.seed + 2)],
        { epsilon: 0.01 },
        { floats: ['epsilon'] },
      );
    },
);

const group = fc.tuple(draw, fc.integer({ min: 1, max: 2 })).map(
  ([d, groups]): Step =>
    (s) => {
      // Before 21 scale and bias are by group, which onnxruntime computes as by channel.
      if (s.opset < 21) return;
      const x = image(s, d, 3);
      if (!notEmpty(x) || shapeOf(x)[1]! % groups !== 0) return;
      const n = shapeOf(x)[1]!;
      s.emit(
        'GroupNormalization',
        [x, perChannel(s, n, d.seed + 1), perChannel(s, n, d.seed + 2)],
        { num_groups: groups, epsilon: 0.01 },
        { floats: ['epsilon'] },
      );
    },
);

const lp = fc.tuple(draw, raw, fc.integer({ min: 1, max: 2 })).map(
  ([d, a, p]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ['float32'], rank: [1, 4], where: spread });
      if (!notEmpty(x)) return;
      s.emit('LpNormalization', [x], { axis: axisIn(a, shapeOf(x).length), p });
    },
);

/** Softmax and the normalisations. */
export const normalisations: Steps = {
  Softmax: along('Softmax'),
  LogSoftmax: along('LogSoftmax'),
  Hardmax: along('Hardmax'),
  LayerNormalization: layer,
  RMSNormalization: rms,
  BatchNormalization: batch,
  InstanceNormalization: instance,
  GroupNormalization: group,
  LpNormalization: lp,
};
