import type { Precision } from '../../core/backend.ts';
import type { Graph, Param } from '../../core/graph.ts';
import { toFloat16 } from '../../core/tensor.ts';
import { encodeOnnx } from '../../graph/onnx/index.ts';
import type { ProbeCase } from './prove.mjs';

/** Graphs of one node, a precision each, with what must come out: the smallest that prove a provider. fp32 comes first. */
export function probeCases(): ProbeCase[] {
  return [square('fp32'), square('fp16'), product('int8', 8), product('int4', 4)];
}

/** y = x · x on two elements. */
function square(precision: 'fp32' | 'fp16'): ProbeCase {
  const dtype = precision === 'fp32' ? 'float32' : 'float16';
  const numbers = (values: number[]) => (dtype === 'float32' ? values : values.map(toFloat16));
  const graph: Graph = {
    name: 'probe',
    opset: { '': 17 },
    inputs: [{ name: 'x', dtype, shape: [2] }],
    outputs: [{ name: 'y', dtype, shape: [2] }],
    params: [],
    nodes: [{ op: 'Mul', name: 'probe/Mul', inputs: ['x', 'x'], outputs: ['y'], attrs: {} }],
  };
  const [x, y] = [numbers([3, 4]), numbers([9, 16])];
  return caseOf(precision, graph, { dtype, shape: [2], x, y, tolerance: 0 });
}

const [N, K, BLOCK] = [4, 64, 32];

/** y = x · Wᵀ with W in blocks of 32, as `transform/quantise.ts` writes it. Its activations lie on the levels of 8 bits. */
function product(precision: Precision, bits: 4 | 8): ProbeCase {
  const half = 2 ** (bits - 1);
  const levels = Array.from({ length: N * K }, (_, i) => (i * 7 + 3) % (2 * half));
  const scales = Array.from({ length: (N * K) / BLOCK }, (_, i) => (i % 2 ? -0.25 : 0.5) / half);
  const bytes =
    bits === 8
      ? Uint8Array.from(levels)
      : Uint8Array.from({ length: (N * K) / 2 }, (_, i) => levels[2 * i]! | (levels[2 * i + 1]! << 4));
  const x = Array.from({ length: K }, (_, i) => (i % 3 ? 1 : -1));
  const y = Array.from({ length: N }, (_, row) =>
    x.reduce((sum, v, i) => {
      const at = row * K + i;
      return sum + v * (levels[at]! - half) * scales[Math.floor(at / BLOCK)]!;
    }, 0),
  );
  const params: Param[] = [
    {
      name: 'w',
      role: 'constant',
      dtype: 'uint8',
      shape: [N, K / BLOCK, (BLOCK * bits) / 8],
      data: bytes,
    },
    {
      name: 's',
      role: 'constant',
      dtype: 'float32',
      shape: [scales.length],
      data: Float32Array.from(scales),
    },
  ];
  const graph: Graph = {
    name: 'probe',
    opset: { '': 17, 'com.microsoft': 1 },
    inputs: [{ name: 'x', dtype: 'float32', shape: [1, K] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: [1, N] }],
    params,
    nodes: [
      {
        op: 'MatMulNBits',
        domain: 'com.microsoft',
        name: 'probe/MatMulNBits',
        inputs: ['x', 'w', 's'],
        outputs: ['y'],
        attrs: { K, N, bits, block_size: BLOCK, ...(bits === 8 && { accuracy_level: 4 }) },
      },
    ],
  };
  return caseOf(precision, graph, { dtype: 'float32', shape: [1, K], x, y, tolerance: 1e-2 });
}

function caseOf(
  precision: Precision,
  graph: Graph,
  given: Omit<ProbeCase, 'precision' | 'graph'>,
): ProbeCase {
  return { precision, graph: Buffer.from(encodeOnnx(graph)).toString('base64'), ...given };
}
