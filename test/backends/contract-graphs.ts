import type { Dim, Graph } from '../../src/core/graph.ts';
import { float32, type Tensor, tensor, toFloat16 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';

/** y = relu(x · W + b) and its row sums; W = [[1, -1], [2, 0], [0, 3]], b = [0.5, -1]. */
export function dense(): Graph {
  const b = new GraphBuilder('dense');
  const x = b.input('x', 'float32', ['batch', 3]);
  const w = b.constant(float32([3, 2], [1, -1, 2, 0, 0, 3]), 'w');
  const bias = b.constant(float32([2], [0.5, -1]), 'bias');
  const y = b.relu(b.gemm(x, w, bias));
  b.output('y', y);
  b.output('total', b.reduceSum(y, [1]));
  return b.build();
}

export function denseByHand(rows: readonly (readonly number[])[]): { y: number[]; total: number[] } {
  const y = rows.map(([p, q, r]) => [Math.max(0, p! + 2 * q! + 0.5), Math.max(0, -p! + 3 * r! - 1)]);
  return { y: y.flat(), total: y.map(([a, b]) => a! + b!) };
}

/** Token ids and a mask: looks a table up, counts, compares. Table row i is [i, 10·i]. */
export function tokens(): Graph {
  const b = new GraphBuilder('tokens');
  const ids = b.input('ids', 'int64', ['batch', 'sequence']);
  const mask = b.input('mask', 'bool', ['batch', 'sequence']);
  const table = b.constant(float32([4, 2], [0, 0, 1, 10, 2, 20, 3, 30]), 'table');
  const kept = b.where(mask, ids, 0);
  b.output('embedded', b.gather(table, kept));
  b.output('next', b.add(ids, 1));
  b.output('large', b.greater(ids, 1));
  return b.build();
}

/** A cache that grows: [past; now] along the sequence, from an empty past on. */
export function cache(): Graph {
  const b = new GraphBuilder('cache');
  const past = b.input('past', 'float32', ['batch', 2, 'past', 3]);
  const now = b.input('now', 'float32', ['batch', 2, 'sequence', 3]);
  const present = b.concat([past, now], 2);
  b.output('present', present);
  b.output('mean', b.reduceMean(present, [2]));
  return b.build();
}

/** x · 2 + 1 in half precision. */
export function half(): Graph {
  const b = new GraphBuilder('half');
  const x = b.input('x', 'float16', ['n']);
  b.output('y', b.add(b.mul(x, 2), 1));
  return b.build();
}

export function halves(values: readonly number[]): Tensor {
  return tensor('float16', [values.length], Uint16Array.from(values, toFloat16));
}

/**
 * x · Wᵀ with W [3, 40] in blocks of 4 or 8 bits, the last of a row cut short: row r has r + 1 at the inputs that are
 * divisible by r + 2 (levels above the middle), all scales are 1.
 */
export function blocks(bits: 4 | 8): Graph {
  const level = (row: number, i: number) => 2 ** (bits - 1) + (i < 40 && i % (row + 2) === 0 ? row + 1 : 0);
  const levels = Array.from({ length: 3 * 64 }, (_, at) => level(Math.floor(at / 64), at % 64));
  const data =
    bits === 8
      ? Uint8Array.from(levels)
      : Uint8Array.from({ length: 96 }, (_, i) => levels[2 * i]! + 16 * levels[2 * i + 1]!);
  const w = { name: 'w', dtype: 'uint8', role: 'constant', shape: [3, 2, bits * 4], data } as const;
  const scales = new Float32Array(6).fill(1);
  const s = { name: 's', dtype: 'float32', role: 'constant', shape: [6], data: scales } as const;
  const accuracy = bits === 8 ? { accuracy_level: 4 } : {};
  return {
    name: 'blocks',
    opset: { '': 17, 'com.microsoft': 1 },
    inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 40] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 3] }],
    params: [w, s],
    nodes: [
      {
        ...{ op: 'MatMulNBits', domain: 'com.microsoft', name: 'product' },
        ...{ inputs: ['x', 'w', 's'], outputs: ['y'] },
        attrs: { K: 40, N: 3, bits, block_size: 32, ...accuracy },
      },
    ],
  };
}

/** A 3 × 3 blur of ones over an image, padded, then 2 × 2 maxima: sums of neighbourhoods, known by hand. */
export function blur(): Graph {
  const b = new GraphBuilder('blur');
  const x = b.input('x', 'float32', ['batch', 1, 4, 4]);
  const kernel = b.constant(float32([1, 1, 3, 3], new Array(9).fill(1)), 'kernel');
  const sums = b.conv(x, kernel, null, { pads: [1, 1, 1, 1] });
  b.output('y', b.maxPool(sums, [2, 2], { strides: [2, 2] }));
  return b.build();
}

/** A graph of one operator that no runtime has. */
export function impossible(): Graph {
  return {
    name: 'impossible',
    opset: { '': 17 },
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n'] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n'] }],
    params: [],
    nodes: [{ op: 'Frobnicate', name: 'head/Frobnicate', inputs: ['x'], outputs: ['y'], attrs: {} }],
  };
}

/** A state that is added to, and its sum: next = state + step, total = Σ next. The smallest training step. */
export function counter(rows: Dim = 'n'): Graph {
  const b = new GraphBuilder('counter');
  const state = b.input('state', 'float32', [rows, 4]);
  const next = b.add(state, b.input('step', 'float32', [1]));
  b.output('next', next);
  b.output('total', b.reduceSum(next, [0, 1]));
  return b.build();
}
