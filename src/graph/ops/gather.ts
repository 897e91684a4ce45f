import type { Dim } from '../../core/graph.ts';
import { type OpEntry, type OpTable, typed } from './entry.ts';

const gather: OpEntry = {
  inputs: [2, 2],
  since: 1,
  bytes: 'output',
  infer: (c) => {
    const x = c.in(0);
    const indices = c.in(1);
    if (indices.dtype !== 'int64' && indices.dtype !== 'int32') c.fail('indices must be int64 or int32');
    const axis = c.axis(c.int('axis', 0), x.shape.length);
    const size = x.shape[axis]!;
    const known = c.numbers(1);
    if (known && typeof size === 'number' && known.some((i) => i < -size || i >= size)) {
      c.fail(`an index is outside dimension ${axis} of size ${size}`);
    }
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    const picked = x.value && x.shape.length === 1 && known?.map((i) => x.value!.at(i)!);
    return [typed(x.dtype, shape, picked || undefined)];
  },
};

/** The data tensor, of which some elements are replaced or added to. */
const scatter = (inputs: number, since: number): OpEntry => ({
  inputs: [inputs, inputs],
  since,
  infer: (c) => [typed(c.sameTypes(0, inputs - 1), c.shape(0))],
});

/** Operators that pick or place elements by index. */
export const indexing: OpTable = {
  Gather: gather,
  GatherElements: {
    inputs: [2, 2],
    since: 11,
    bytes: 'output',
    infer: (c) => {
      c.axis(c.int('axis', 0), c.shape(0).length);
      return [typed(c.in(0).dtype, c.rank(1, c.shape(0).length))];
    },
  },
  GatherND: {
    inputs: [2, 2],
    since: 11,
    bytes: 'output',
    infer: (c) => {
      const [x, indices] = [c.shape(0), c.rank(1, [1, 16])];
      const batch = c.int('batch_dims', 0);
      const depth = indices.at(-1)!;
      if (typeof depth !== 'number') return c.fail('the depth of the indices is not known');
      if (batch < 0 || batch + depth > x.length)
        c.fail(`indices of depth ${depth} go beyond rank ${x.length}`);
      return [typed(c.in(0).dtype, [...indices.slice(0, -1), ...x.slice(batch + depth)])];
    },
  },
  ScatterElements: scatter(3, 11),
  ScatterND: scatter(3, 11),
  Scatter: scatter(3, 9),
  OneHot: {
    inputs: [3, 3],
    since: 9,
    infer: (c) => {
      const indices = c.shape(0);
      const depth = c.value(1)?.[0] ?? c.fresh('depth');
      const axis = c.axis(c.int('axis', -1), indices.length + 1);
      const out: Dim[] = [...indices];
      out.splice(axis, 0, depth);
      return [typed(c.in(2).dtype, out)];
    },
  },
  NonZero: {
    inputs: [1, 1],
    since: 9,
    infer: (c) => [typed('int64', [Math.max(c.shape(0).length, 1), c.fresh('nonzero')])],
  },
  Compress: {
    inputs: [2, 2],
    since: 9,
    infer: (c) => {
      const x = c.in(0);
      const axis = c.node.attrs.axis;
      if (axis === undefined) return [typed(x.dtype, [c.fresh('compressed')])];
      const at = c.axis(c.int('axis', 0), x.shape.length);
      return [
        typed(
          x.dtype,
          x.shape.map((d, i) => (i === at ? c.fresh('compressed') : d)),
        ),
      ];
    },
  },
  Trilu: {
    inputs: [1, 2],
    since: 14,
    infer: (c) => {
      c.rank(0, [2, 16]);
      return [typed(c.in(0).dtype, c.shape(0))];
    },
  },
};
