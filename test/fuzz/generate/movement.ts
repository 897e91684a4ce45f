import fc from 'fast-check';
import type { Sketch, Value } from '../sketch.ts';
import { ANY, axisIn, draw, numbered, operand, raw, type Step, type Steps, vector } from './draws.ts';

const EXACT = { exact: true };
const shapeOf = (v: Value): readonly number[] => v.tensor.shape;

/** Axes as the operator set has them: an attribute until `moved`, an input since. */
export function withAxes(
  s: Sketch,
  moved: number,
  axes: readonly number[],
): { inputs: Value[]; attrs: Record<string, readonly number[]> } {
  return s.opset < moved ? { inputs: [], attrs: { axes } } : { inputs: [vector(s, axes)], attrs: {} };
}

const transpose = fc.tuple(draw, fc.array(raw, { maxLength: 4 }), fc.boolean()).map(
  ([d, order, plain]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ANY });
      const left = shapeOf(x).map((_, i) => i);
      const perm = shapeOf(x).map((_, i) => left.splice((order[i] ?? 0) % left.length, 1)[0]!);
      s.emit('Transpose', [x], plain ? {} : { perm }, EXACT);
    },
);

const expand = fc.tuple(draw, fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }), fc.nat(1)).map(
  ([d, to, lead]): Step =>
    (s) => {
      if (s.opset < 8) return;
      const x = operand(s, d, { dtypes: ANY, rank: [0, 4] });
      const wanted = shapeOf(x).map((size, i) => (size === 1 ? (to[i] ?? 1) : i % 2 === 1 ? 1 : size));
      s.emit('Expand', [x, vector(s, lead ? [2, ...wanted] : wanted)], {}, EXACT);
    },
);

const tile = fc.tuple(draw, fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 4 })).map(
  ([d, repeats]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ANY, rank: [1, 4] });
      s.emit('Tile', [x, vector(s, repeats.slice(0, shapeOf(x).length))], {}, EXACT);
    },
);

const concat = fc
  .tuple(draw, fc.array(fc.tuple(draw, fc.integer({ min: 0, max: 3 })), { minLength: 1, maxLength: 3 }), raw)
  .map(
    ([d, rest, a]): Step =>
      (s) => {
        const x = operand(s, d, { dtypes: ANY, rank: [1, 4] });
        const axis = axisIn(a, shapeOf(x).length);
        if (axis < 0 && s.opset < 11) return;
        const at = axis < 0 ? axis + shapeOf(x).length : axis;
        const others = rest.map(([other, size]) =>
          operand(
            s,
            { ...other, shape: shapeOf(x).map((n, i) => (i === at ? size : n)) },
            {
              dtypes: [x.tensor.dtype],
              rank: [shapeOf(x).length, shapeOf(x).length],
              where: (v) => shapeOf(v).every((n, i) => i === at || n === shapeOf(x)[i]),
            },
          ),
        );
        s.emit('Concat', [x, ...others], { axis }, EXACT);
      },
  );

const split = fc.tuple(draw, raw, fc.array(fc.nat(3), { minLength: 1, maxLength: 3 }), fc.boolean()).map(
  ([d, a, cuts, even]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ['float32', 'int64', 'int32'], rank: [1, 4] });
      const axis = axisIn(a, shapeOf(x).length);
      if (axis < 0 && s.opset < 11) return;
      const size = shapeOf(x).at(axis)!;
      const sizes: number[] = [];
      let left = size;
      for (const cut of cuts) {
        sizes.push(Math.min(cut, left));
        left -= sizes.at(-1)!;
      }
      sizes.push(left);
      const count = sizes.length;
      const options = { outputs: even ? 2 : count, exact: true };
      if (even) {
        if (s.opset < 18 ? size % 2 !== 0 : size < 2) return;
        s.emit('Split', [x], s.opset < 18 ? { axis } : { axis, num_outputs: 2 }, options);
      } else if (s.opset < 13) s.emit('Split', [x], { axis, split: sizes }, options);
      else s.emit('Split', [x, vector(s, sizes)], { axis }, options);
    },
);

const ends = fc.oneof(
  fc.integer({ min: -6, max: 6 }),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER),
);
const cut = fc.record({
  at: raw,
  from: fc.integer({ min: -6, max: 6 }),
  to: ends,
  step: fc.constantFrom(1, -1, 2, -2, 3),
});

const slice = fc.tuple(draw, fc.array(cut, { minLength: 1, maxLength: 3 }), fc.boolean(), fc.boolean()).map(
  ([d, cuts, short, narrow]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ANY, rank: [1, 4] });
      const rank = shapeOf(x).length;
      const seen = new Set<number>();
      const once = cuts.filter((c) => {
        const at = (axisIn(c.at, rank) + rank) % rank;
        return !seen.has(at) && Boolean(seen.add(at));
      });
      const starts = once.map((c) => c.from);
      const stops = once.map((c) => c.to);
      const axes = once.map((c) => axisIn(c.at, rank));
      if (s.opset < 10) {
        if (axes.some((a) => a < 0)) return;
        s.emit('Slice', [x], { starts, ends: stops, axes }, EXACT);
        return;
      }
      const index = (list: readonly number[]) => {
        const clamped = list.map((n) => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, n)));
        if (!narrow) return vector(s, list);
        return s.constant({ dtype: 'int32', shape: [list.length], data: Int32Array.from(clamped) });
      };
      const bounds = [index(starts), index(stops), index(axes)];
      s.emit('Slice', short ? [x, ...bounds] : [x, ...bounds, index(once.map((c) => c.step))], {}, EXACT);
    },
);

const pad = fc
  .record({
    d: draw,
    mode: fc.constantFrom('constant', 'edge', 'reflect', 'wrap'),
    amounts: fc.array(fc.integer({ min: -1, max: 2 }), { minLength: 8, maxLength: 8 }),
    value: fc.boolean(),
  })
  .map(
    ({ d, mode, amounts, value }): Step =>
      (s) => {
        if (mode === 'wrap' && s.opset < 19) return;
        const x = operand(s, d, {
          dtypes: s.opset < 11 ? ['float32'] : ['float32', 'int64', 'int32'],
          rank: [1, 4],
        });
        const sizes = shapeOf(x);
        const most = (size: number) =>
          mode === 'constant' ? 2 : mode === 'reflect' ? size - 1 : size === 0 ? 0 : 2;
        // Negative padding with the modes that copy is defined by no implementation alike.
        const least = (size: number) => (mode === 'constant' && size > 2 ? -1 : 0);
        const side = (from: number) =>
          sizes.map((size, i) => Math.max(least(size), Math.min(most(size), amounts[from + i]!)));
        const pads = [...side(0), ...side(4)];
        if (mode !== 'constant' && sizes.includes(0)) return;
        if (s.opset < 11)
          s.emit('Pad', [x], { pads, mode, value: value ? 1.5 : 0 }, { floats: ['value'], exact: true });
        else {
          const fill = value && mode === 'constant' ? [s.constant(numbered(x.tensor.dtype, [], 5))] : [];
          s.emit('Pad', [x, vector(s, pads), ...fill], { mode }, EXACT);
        }
      },
  );

const depth = fc.tuple(draw, fc.constantFrom('DCR', 'CRD'), fc.integer({ min: 1, max: 2 })).map(
  ([d, mode, b]): Step =>
    (s) => {
      const sizes = [...d.shape, 1, 1, 1, 1].slice(0, 4) as [number, number, number, number];
      if (s.opset < 11) return;
      const x = operand(
        s,
        { ...d, shape: [sizes[0], sizes[1] * b * b, sizes[2], sizes[3]] },
        {
          dtypes: ['float32'],
          rank: [4, 4],
          where: (v) => shapeOf(v)[1]! % (b * b) === 0,
        },
      );
      s.emit('DepthToSpace', [x], { blocksize: b, mode }, EXACT);
    },
);

const space = fc.tuple(draw, fc.integer({ min: 1, max: 2 })).map(
  ([d, b]): Step =>
    (s) => {
      const sizes = [...d.shape, 1, 1, 1, 1].slice(0, 4) as [number, number, number, number];
      const x = operand(
        s,
        { ...d, shape: [sizes[0], sizes[1], sizes[2] * b, sizes[3] * b] },
        {
          dtypes: ['float32'],
          rank: [4, 4],
          where: (v) => shapeOf(v)[2]! % b === 0 && shapeOf(v)[3]! % b === 0,
        },
      );
      s.emit('SpaceToDepth', [x], { blocksize: b }, EXACT);
    },
);

const trilu = fc.tuple(draw, fc.integer({ min: -4, max: 4 }), fc.nat(1), fc.boolean()).map(
  ([d, k, upper, plain]): Step =>
    (s) => {
      if (s.opset < 14) return;
      const x = operand(s, d, { dtypes: ['float32', 'int64'], rank: [2, 4] });
      const offset = plain ? [] : [s.constant(numbered('int64', [], 1, [k, k]))];
      s.emit('Trilu', [x, ...offset], { upper }, EXACT);
    },
);

/** Operators that move elements without changing them. */
export const movement: Steps = {
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  DepthToSpace: depth,
  SpaceToDepth: space,
  Trilu: trilu,
};
