import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { int64, tensor } from '../../../src/core/tensor.ts';
import type { GraphBuilder, Value } from '../../../src/graph/builder.ts';
import { checkGradient } from './check.ts';

const size = fc.integer({ min: 1, max: 4 });
const shapeOf = (min: number, max: number) => fc.array(size, { minLength: min, maxLength: max });
const int = (min: number, max: number) => fc.integer({ min, max });
const list = <T>(each: fc.Arbitrary<T>, length: number) =>
  fc.array(each, { minLength: length, maxLength: length });

describe('moving, joining, cutting', () => {
  it('Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Expand, Tile', () => {
    const drawn = shapeOf(1, 3).chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        perm: fc.shuffledSubarray([...shape.keys()], { minLength: shape.length }),
        times: list(int(1, 3), shape.length),
        kind: fc.constantFrom('Reshape', 'Flatten', 'Squeeze', 'Transpose', 'Expand', 'Tile'),
      }),
    );
    fc.assert(
      fc.property(drawn, ({ shape, perm, times, kind }) => {
        const flat = shape.reduce((n, d) => n * d, 1);
        const build: Record<typeof kind, (g: GraphBuilder, x: Value) => Value> = {
          Reshape: (g, x) => g.reshape(x, [flat, 1]),
          Flatten: (g, x) => g.flatten(x, shape.length - 1),
          Squeeze: (g, x) => g.squeeze(g.unsqueeze(x, [0, -1]), [0]),
          Transpose: (g, x) => g.transpose(x, perm),
          Expand: (g, x) => g.expand(g.unsqueeze(x, [1]), g.ints([2, shape[0]!, 3, ...shape.slice(1)])),
          Tile: (g, x) => g.op('Tile', [x, g.ints(times)])[0]!,
        };
        checkGradient({ shapes: [shape], build: (g, x) => build[kind](g, x!) });
      }),
      { numRuns: 40 },
    );
  });

  it('Slice with steps, backwards and of nothing', () => {
    const drawn = shapeOf(1, 3).chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        axes: fc.shuffledSubarray([...shape.keys()], { minLength: 1 }),
        starts: list(int(-6, 6), shape.length),
        ends: list(int(-6, 9), shape.length),
        steps: list(fc.constantFrom(1, 2, 3, -1, -2), shape.length),
      }),
    );
    fc.assert(
      fc.property(drawn, ({ shape, axes, starts, ends, steps }) => {
        const of = (values: readonly number[]) => axes.map((_, i) => values[i]!);
        checkGradient({
          shapes: [shape],
          build: (g, x) => g.slice(x!, of(starts), of(ends), axes, of(steps)),
        });
      }),
      { numRuns: 60 },
    );
  });

  it('Pad in its modes, also cutting off', () => {
    const drawn = fc.record({
      shape: fc.array(int(3, 4), { minLength: 1, maxLength: 2 }),
      mode: fc.constantFrom('constant', 'reflect', 'edge', 'wrap'),
      pads: list(int(-1, 2), 4),
    });
    fc.assert(
      fc.property(drawn, ({ shape, mode, pads }) => {
        const amounts = pads.slice(0, 2 * shape.length).map((n) => (mode === 'constant' ? n : Math.abs(n)));
        checkGradient({
          shapes: [shape],
          opset: 19,
          build: (g, x) => g.op('Pad', [x!, g.ints(amounts)], { mode })[0]!,
        });
      }),
      { numRuns: 40 },
    );
  });

  it('Concat and Split, of which parts may not matter', () => {
    const parts = fc.record({
      sizes: fc.array(size, { minLength: 1, maxLength: 4 }),
      axis: int(0, 1),
      pick: fc.nat(15),
    });
    fc.assert(
      fc.property(parts, ({ sizes, axis, pick }) => {
        const shapes = sizes.map((d) => (axis === 0 ? [d, 2] : [2, d]));
        const some = sizes.flatMap((_, i) => (pick & (1 << i) ? [i] : []));
        checkGradient({
          shapes,
          ...(some.length > 0 && { wrt: some }),
          build: (g, ...x) => g.concat(x, axis),
        });
        const total = sizes.reduce((n, d) => n + d, 0);
        checkGradient({
          shapes: [axis === 0 ? [total, 2] : [2, total]],
          build: (g, x) => {
            const made = g.split(x!, sizes, axis);
            return some.length > 0 ? some.map((i) => made[i]!) : made;
          },
        });
      }),
      { numRuns: 25 },
    );
  });

  it('Trilu and CumSum', () => {
    const flag = int(0, 1);
    fc.assert(
      fc.property(flag, flag, int(-2, 2), shapeOf(2, 3), (a, b, k, shape) => {
        checkGradient({
          shapes: [shape],
          build: (g, x) => [
            g.op('Trilu', [x!, g.scalar(k, 'int64')], { upper: a })[0]!,
            g.op('CumSum', [x!, g.scalar(-1, 'int64')], { exclusive: a, reverse: b })[0]!,
          ],
        });
      }),
      { numRuns: 15 },
    );
  });
});

describe('by index', () => {
  const indices = (shape: readonly number[], limit: number) =>
    list(
      int(-limit, limit - 1),
      shape.reduce((n, d) => n * d, 1),
    );
  const feed = (
    g: GraphBuilder,
    shape: readonly number[],
    values: readonly number[],
    known: boolean,
  ): Value => {
    const given = g.constant(int64(shape, values));
    // What hangs on nothing is known; a sum with a value that is only known when it runs is not.
    return known ? given : g.op('Mul', [given, g.op('Sign', [g.shapeOf(given)])[0]!])[0]!;
  };

  it('Gather, of repeated rows, runs and single ones', () => {
    const drawn = fc.record({ shape: shapeOf(1, 3), at: shapeOf(0, 2), axis: fc.nat(2) }).chain((r) => {
      const axis = r.axis % r.shape.length;
      return fc.record({
        shape: fc.constant(r.shape),
        at: fc.constant(r.at),
        axis: fc.constant(axis),
        values: indices(r.at, r.shape[axis]!),
        run: fc.boolean(),
      });
    });
    fc.assert(
      fc.property(drawn, ({ shape, at, axis, values, run }) => {
        const n = shape[axis]!;
        const places = run ? Array.from({ length: n }, (_, i) => i) : values;
        checkGradient({
          shapes: [shape],
          build: (g, x) => g.gather(x!, g.constant(int64(run ? [n] : at, places)), axis),
        });
      }),
      { numRuns: 40 },
    );
  });

  it('what is read twice from one table adds up in one scatter', () => {
    const ids = int64([5], [2, 0, 2, 3, -1]);
    const build = (g: GraphBuilder, x?: Value): Value[] => [
      g.matmul(x!, g.transpose(x!, [1, 0])),
      g.gather(x!, g.constant(ids)),
    ];
    checkGradient({ shapes: [[4, 3]], build });
  });

  it('GatherElements, ScatterElements in all its forms', () => {
    const drawn = fc.record({ shape: shapeOf(1, 3), axis: fc.nat(2), rows: size }).chain((r) => {
      const axis = r.axis % r.shape.length;
      const at = r.shape.map((d, i) => (i === axis ? r.rows : d));
      return fc.record({
        shape: fc.constant(r.shape),
        at: fc.constant(at),
        axis: fc.constant(axis),
        values: indices(at, r.shape[axis]!),
        reduction: fc.constantFrom('none', 'add', 'mul', 'max', 'min'),
      });
    });
    fc.assert(
      fc.property(drawn, ({ shape, at, axis, values, reduction }) => {
        // Replacing, what is written twice to one place is not defined: rows of their own.
        const n = shape[axis]!;
        const rows = at[axis]!;
        const inner = at.slice(axis + 1).reduce((k, d) => k * d, 1);
        const own = values.map((_, i) =>
          reduction === 'none' ? (Math.floor(i / inner) % rows) % n : values[i]!,
        );
        if (reduction === 'none' && rows > n) return;
        checkGradient({
          shapes: [shape],
          build: (g, x) => g.op('GatherElements', [x!, g.constant(int64(at, values))], { axis })[0]!,
        });
        checkGradient({
          shapes: [shape, at],
          opset: 18,
          draw: (_, uniform) => 0.5 + uniform(),
          build: (g, x, u) =>
            g.op('ScatterElements', [x!, g.constant(int64(at, own)), u!], { axis, reduction })[0]!,
        });
      }),
      { numRuns: 40 },
    );
  });

  it('GatherND with parallel axes, ScatterND', () => {
    const drawn = fc.record({
      batch: int(0, 1),
      depth: int(1, 2),
      rows: size,
      seed: int(0, 99),
      known: fc.boolean(),
    });
    fc.assert(
      fc.property(
        drawn,
        fc.constantFrom('none', 'add', 'mul', 'max'),
        ({ batch, depth, rows, seed }, reduction) => {
          const shape = [2, 3, 4];
          const at = [...(batch ? [2] : []), rows, depth];
          const count = at.reduce((n, d) => n * d, 1);
          const values = Array.from({ length: count }, (_, i) => {
            const limit = shape[batch + (i % depth)]!;
            return ((seed + 7 * i) % (2 * limit)) - limit;
          });
          checkGradient({
            shapes: [shape],
            build: (g, x) => g.op('GatherND', [x!, g.constant(int64(at, values))], { batch_dims: batch })[0]!,
          });
          const once = reduction === 'none' ? 1 : rows;
          const tuples = Array.from({ length: once * depth }, (_, i) => (seed + i) % shape[i % depth]!);
          checkGradient({
            shapes: [shape, [once, ...shape.slice(depth)]],
            opset: 18,
            draw: (_, uniform) => 0.5 + uniform(),
            build: (g, x, u) =>
              g.op('ScatterND', [x!, g.constant(int64([once, depth], tuples)), u!], { reduction })[0]!,
          });
        },
      ),
      { numRuns: 30 },
    );
  });

  it('TopK', () => {
    fc.assert(
      fc.property(int(1, 3), int(0, 1), int(0, 1), fc.integer(), (k, axis, largest, seed) => {
        checkGradient({
          shapes: [[3, 4]],
          seed,
          build: (g, x) => g.op('TopK', [x!, g.ints([k])], { axis, largest })[0]!,
        });
      }),
      { numRuns: 10 },
    );
  });

  it('knows what is fed from what is known', () => {
    const weights = tensor('float64', [2], Float64Array.of(1, 2));
    checkGradient({
      shapes: [[3, 2]],
      build: (g, x) => g.mul(g.gather(x!, feed(g, [4], [0, 2, 2, 1], false)), g.constant(weights)),
    });
    expect(() => checkGradient({ shapes: [[3]], build: (g, x) => g.op('Hardmax', [x!])[0]! })).toThrow(
      /Hardmax/,
    );
  });
});
