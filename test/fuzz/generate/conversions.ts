import fc from 'fast-check';
import type { DType } from '../../../src/core/tensor.ts';
import { codeOf } from '../../../src/graph/dtypes.ts';
import type { Value } from '../sketch.ts';
import { ANY, all, axisIn, draw, numbered, operand, raw, roundable, type Step, type Steps } from './draws.ts';

const shapeOf = (v: Value): readonly number[] => v.tensor.shape;
const TO: readonly DType[] = ['float32', 'int64', 'int32', 'bool', 'float16', 'float64', 'uint8', 'int8'];
const small = all((x) => Math.abs(x) < 100);

const cast = fc.tuple(draw, fc.constantFrom(...TO), fc.boolean()).map(
  ([d, to, like]): Step =>
    (s) => {
      if (s.opset < 9) return;
      // What becomes of a negative number in an unsigned type is the compiler's choice.
      const fits = to === 'uint8' ? all((x) => x >= 0) : () => true;
      const x = operand(s, d, {
        dtypes: ANY,
        where: (v) => roundable(v) && small(v) && fits(v) && (to !== 'bool' || v.exact),
        ...(to === 'uint8' && { range: [0, 9] as const }),
      });
      if (like && s.opset >= 15)
        s.emit('CastLike', [x, s.constant(numbered(to, [1], 0))], {}, { exact: to !== 'float16' });
      else s.emit('Cast', [x], { to: codeOf(to) }, { exact: to !== 'float16' });
    },
);

const quantised = fc.constantFrom<DType>('uint8', 'int8');

/** Scale and zero point for the whole tensor or along an axis. */
const quantize = fc.tuple(draw, quantised, raw, fc.boolean()).map(
  ([d, dtype, a, perAxis]): Step =>
    (s) => {
      if (s.opset < (perAxis ? 13 : 10)) return;
      const x = operand(s, d, { dtypes: ['float32'], rank: [1, 4], where: (v) => v.exact });
      const axis = axisIn(a, shapeOf(x).length);
      const shape = perAxis ? [shapeOf(x).at(axis)!] : [];
      // Scales that are powers of two keep halves exact, so that rounding to even is put to the test.
      const scale = s.constant({
        dtype: 'float32',
        shape,
        data: new Float32Array(shape[0] ?? 1).fill(d.seed % 2 ? 0.25 : 0.5),
      });
      const zero = s.constant(numbered(dtype, shape, d.seed, [0, 9]));
      s.emit('QuantizeLinear', [x, scale, zero], perAxis ? { axis } : {});
    },
);

const dequantize = fc.tuple(draw, quantised, raw, fc.boolean(), fc.boolean()).map(
  ([d, dtype, a, perAxis, zeroed]): Step =>
    (s) => {
      if (s.opset < (perAxis ? 13 : 10)) return;
      const x = operand(s, d, { dtypes: [dtype], rank: [1, 4] });
      const axis = axisIn(a, shapeOf(x).length);
      const shape = perAxis ? [shapeOf(x).at(axis)!] : [];
      const inputs = [x, s.constant(numbered('float32', shape, d.seed, [0.125, 2]))];
      if (zeroed) inputs.push(s.constant(numbered(dtype, shape, d.seed + 1, [0, 9])));
      s.emit('DequantizeLinear', inputs, perAxis ? { axis } : {}, { exact: true });
    },
);

const dynamic = draw.map(
  (d): Step =>
    (s) => {
      if (s.opset < 11) return;
      // From -2 to 3.1: 255 steps of 0.02 that no number lies between two of.
      const x = s.input({
        dtype: 'float32',
        shape: [2, 3],
        data: Float32Array.of(-2, 3.1, 0.501, 1.301, -1.003, (d.seed % 20) / 10 + 0.003),
      });
      s.emit('DynamicQuantizeLinear', [x], {}, { outputs: 3 });
    },
);

const dropout = fc.tuple(draw, fc.boolean()).map(
  ([d, mask]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ['float32'] });
      if (s.opset < 12)
        s.emit('Dropout', [x], s.opset < 7 ? {} : { ratio: 0.25 }, { floats: ['ratio'], exact: true });
      else s.emit('Dropout', [x], {}, { outputs: mask ? 2 : 1, exact: true });
    },
);

/** Changes of the element type. */
export const conversions: Steps = {
  Cast: cast,
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamic,
  Dropout: dropout,
};
