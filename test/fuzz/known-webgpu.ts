import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { float32, type Tensor, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { numbered } from './generate/draws.ts';
import { type Example, type KnownBug, single } from './known.ts';
import { dilatedSame, evenResponse, sparseSame } from './known-onnxruntime.ts';

const WEBGPU = { runtime: 'onnxruntime-webgpu', version: '1.30.0' } as const;

/** Copies a message with the fields at `path` followed down to a node, which gets one more input without a name. */
function withEmptyInput(message: Uint8Array, path: readonly number[]): Uint8Array {
  const [reader, writer] = [new BinaryReader(message), new BinaryWriter()];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, type] = reader.tag();
    if (field !== path[0] || type !== WireType.LengthDelimited) {
      reader.skip(type, field);
      writer.raw(message.subarray(start, reader.pos));
    } else writer.tag(field, type).bytes(withEmptyInput(reader.bytes(), path.slice(1)));
  }
  if (path.length === 0) writer.tag(1, WireType.LengthDelimited).string('');
  return writer.finish();
}

/** Attention of one head over a sequence of 32, with the values of a fixed seed. */
function attention(op: 'MultiHeadAttention' | 'GroupQueryAttention'): Example {
  const [n, d] = [32, 16];
  const feeds = Object.fromEntries(
    ['q', 'k', 'v'].map((name, i) => [name, numbered('float32', [1, n, d], i + 1)]),
  );
  const b = new GraphBuilder('attention');
  const [q, k, v] = ['q', 'k', 'v'].map((name) => b.input(name, 'float32', [1, n, d]));
  const scores = b.mul(b.matmul(q!, b.transpose(k!, [0, 2, 1])), 1 / Math.sqrt(d));
  const causal = float32(
    [n, n],
    Array.from({ length: n * n }, (_, i) => (i % n > Math.floor(i / n) ? -1e9 : 0)),
  );
  const masked = op === 'MultiHeadAttention' ? scores : b.add(scores, b.constant(causal, 'causal'));
  b.output('y', b.matmul(b.softmax(masked, -1), v!));
  if (op === 'MultiHeadAttention')
    return { ...single(op, feeds, { num_heads: 1 }, { domain: 'com.microsoft' }), instead: b.build() };
  const whole = (shape: readonly number[], value: number): Tensor => ({
    dtype: 'int32',
    shape,
    data: Int32Array.of(value),
  });
  const test = single(
    op,
    feeds,
    { num_heads: 1, kv_num_heads: 1 },
    { domain: 'com.microsoft', constants: { last: whole([1], n - 1), total: whole([], n) } },
  );
  const node = {
    ...test.graph.nodes[0]!,
    inputs: ['q', 'k', 'v', '', '', 'last', 'total'],
    outputs: ['y', 'k_now', 'v_now'],
  };
  return { ...test, graph: { ...test.graph, nodes: [node] }, instead: b.build() };
}

const long = (op: 'MultiHeadAttention' | 'GroupQueryAttention'): KnownBug => ({
  ...{ ...WEBGPU, op },
  when: (site) => Number(site.input(0)?.shape[1] ?? 32) >= 32,
  about: 'attention over sequences of 32 and more is silently wrong',
  example: () => attention(op),
});

const imprecise: KnownBug = {
  ...{ ...WEBGPU, op: 'Asin' },
  when: () => true,
  about: "a shader's arc sine has about three digits, as WGSL allows",
  example: () => single('Asin', { x: float32([1], [0.5]) }, {}),
};

/** Up to opset 12 the dimensions from the axis on count as one. */
const flat: KnownBug = {
  ...{ ...WEBGPU, op: 'Softmax' },
  when: ({ node, input, opset }) => {
    const rank = input(0)?.shape.length ?? 0;
    const axis = Number(node.attrs.axis ?? 1);
    return opset < 13 && (axis < 0 ? axis + rank : axis) < rank - 1;
  },
  about: 'up to opset 12, over several dimensions at once, the shader is refused',
  example: () => single('Softmax', { x: float32([2, 1], [1, 2]) }, { axis: -2 }, { opset: 11 }),
};

/** Faults of onnxruntime's WebGPU provider, known before or found by the fuzzer. */
export const ONNXRUNTIME_WEBGPU: readonly KnownBug[] = [
  long('MultiHeadAttention'),
  long('GroupQueryAttention'),
  imprecise,
  sparseSame('AveragePool', WEBGPU.runtime),
  sparseSame('MaxPool', WEBGPU.runtime),
  sparseSame('LpPool', WEBGPU.runtime),
  dilatedSame('LpPool', WEBGPU.runtime),
  evenResponse(WEBGPU.runtime),
  flat,
  {
    ...{ ...WEBGPU, op: 'Conv' },
    when: ({ node }) => node.inputs.length > 2 && node.inputs[2] === '',
    about: 'a bias that is left out as an empty name behind the weight ends the process',
    example: () => {
      const test = single(
        'Conv',
        { x: numbered('float32', [1, 1, 4, 4], 1), w: numbered('float32', [1, 1, 3, 3], 2) },
        {},
      );
      const node = { ...test.graph.nodes[0]!, inputs: ['x', 'w', ''] };
      return {
        ...test,
        graph: { ...test.graph, nodes: [node] },
        model: withEmptyInput(encodeOnnx(test.graph), [7, 1]),
      };
    },
  },
  {
    ...{ ...WEBGPU, op: 'ReduceL1' },
    when: ({ node }) => node.attrs.noop_with_empty_axes === 1,
    about: 'without axes and with noop_with_empty_axes the absolute value is not taken',
    example: () => single('ReduceL1', { x: float32([1], [-3]) }, { noop_with_empty_axes: 1 }, { opset: 18 }),
  },
  {
    ...{ ...WEBGPU, op: 'Pow' },
    when: ({ input }) => {
      const last = [0, 1].map((i) => input(i)?.shape.at(-1));
      return last.includes(1) && last.some((d) => typeof d === 'number' && d % 4 === 0);
    },
    about: 'a last dimension of 1 against one that 4 divides finds no shader',
    example: () => single('Pow', { x: float32([4], [1, 2, 3, 4]), e: float32([1, 1], [2]) }, {}),
  },
  {
    ...{ ...WEBGPU, op: 'ThresholdedRelu' },
    when: ({ input }) => input(0)?.dtype === 'float16',
    about: 'on float16 the shader is not found',
    example: () =>
      single('ThresholdedRelu', { x: numbered('float16', [2], 1) }, { alpha: 0.5 }, { floats: ['alpha'] }),
  },
  {
    ...{ ...WEBGPU, op: '*' },
    when: ({ node, input }) => node.inputs.some((_, i) => input(i)?.shape.includes(0)),
    about: 'an empty tensor becomes a shader over nothing, which is refused or ends the process',
    example: () =>
      single(
        'DequantizeLinear',
        { x: { dtype: 'uint8', shape: [0], data: new Uint8Array() } },
        {},
        { constants: { scale: float32([], [2]) } },
      ),
  },
  {
    ...{ ...WEBGPU, op: '*' },
    when: ({ node, data }) =>
      node.inputs.some((_, i) => {
        const t = data(i);
        return t?.dtype === 'float32' && toNumbers(t).some((v) => !Number.isFinite(v));
      }),
    about: 'shaders are compiled as if there were no NaN and no infinities',
    example: () => single('Relu', { x: float32([2], [Number.NaN, 1]) }, {}),
  },
];
