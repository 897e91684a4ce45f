import { float32, int64 } from '../../src/core/tensor.ts';
import { type KnownBug, type Site, single } from './known.ts';

const CPU = { runtime: 'onnxruntime-cpu', version: '1.30.0' } as const;

const same = ({ node }: Site): boolean => String(node.attrs.auto_pad ?? '').startsWith('SAME');
const list = (value: unknown): readonly number[] => (Array.isArray(value) ? value : []);
const empty = (shape: readonly (number | string)[] | undefined): boolean => shape?.includes(0) ?? false;

/** A window of a pool under SAME_* that needs no padding at all: stride beyond kernel. */
const sparse = (site: Site): boolean =>
  same(site) && list(site.node.attrs.strides).some((n, i) => n > list(site.node.attrs.kernel_shape)[i]!);

export const dilatedSame = (op: string, runtime = CPU.runtime as string): KnownBug => ({
  ...{ ...CPU, runtime, op },
  when: (site) => same(site) && list(site.node.attrs.dilations).some((n) => n > 1),
  about:
    'with auto_pad SAME_* and dilations the output is computed as if without padding: too small, or refused',
  example: () =>
    single(
      op,
      { x: float32([1, 1, 2], [1, 2]) },
      { kernel_shape: [2], dilations: [2], auto_pad: 'SAME_UPPER' },
      { opset: 19 },
    ),
});

export const sparseSame = (op: string, runtime = CPU.runtime as string): KnownBug => ({
  ...{ ...CPU, runtime, op },
  when: sparse,
  about: 'auto_pad SAME_* with strides above the kernel pads by a negative amount: refused, or shifted',
  example: () =>
    single(
      op,
      { x: float32([1, 1, 3], [1, 2, 3]) },
      { kernel_shape: [1], strides: [3], auto_pad: 'SAME_UPPER' },
    ),
});

export const evenResponse = (runtime = CPU.runtime as string): KnownBug => ({
  ...{ ...CPU, runtime, op: 'LRN' },
  when: ({ node }) => Number(node.attrs.size) % 2 === 0,
  about: 'over an even number of channels it is refused',
  example: () => single('LRN', { x: float32([1, 2, 1, 1], [1, 2]) }, { size: 2 }),
});

/** Operators that quantisation is moved across. */
const MOVERS = [
  'Reshape',
  'Transpose',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Slice',
  'MaxPool',
  'Expand',
  'Identity',
];

/** Faults of onnxruntime's CPU provider, found by the fuzzer. */
export const ONNXRUNTIME_CPU: readonly KnownBug[] = [
  dilatedSame('MaxPool'),
  dilatedSame('AveragePool'),
  sparseSame('MaxPool'),
  sparseSame('AveragePool'),
  dilatedSame('LpPool'),
  sparseSame('LpPool'),
  evenResponse(),
  {
    ...{ ...CPU, op: 'DequantizeLinear' },
    when: (site) =>
      site.readers.some((op) => MOVERS.includes(op)) &&
      (!site.node.inputs[2] || site.input(1)?.shape.length === 1 || site.opset >= 21),
    about:
      'optimisation copies it behind an operator that moves elements with the wrong zero point, or aborts the process',
    example: () => {
      const x = { dtype: 'int8' as const, shape: [2], data: Int8Array.of(3, -3) };
      const one = single('DequantizeLinear', { x }, {}, { constants: { scale: float32([], [2]) } });
      const shape = { name: 'shape', ...int64([1], [2]), role: 'constant' as const };
      return {
        feeds: one.feeds,
        graph: {
          ...one.graph,
          params: [...one.graph.params, shape],
          nodes: [
            { ...one.graph.nodes[0]!, outputs: ['wide'] },
            { op: 'Reshape', name: 'move', inputs: ['wide', 'shape'], outputs: ['y'], attrs: {} },
          ],
        },
      };
    },
  },
  {
    ...{ ...CPU, op: 'ReduceSum' },
    when: (site) =>
      empty(site.input(0)?.shape) &&
      [...list(site.node.attrs.axes), ...(site.input(1)?.value ?? [])].some((a) => Number(a) < 0),
    about: 'negative axes of an empty tensor are not reduced',
    example: () =>
      single(
        'ReduceSum',
        { x: float32([0], []) },
        { keepdims: 0 },
        { constants: { axes: int64([1], [-1]) } },
      ),
  },
  {
    ...{ ...CPU, op: 'Gemm' },
    when: (site) => empty(site.input(0)?.shape) && Number(site.node.attrs.beta ?? 1) !== 1,
    about: 'over an inner dimension of 0 the bias is added without beta',
    example: () =>
      single(
        'Gemm',
        { a: float32([1, 0], []), b: float32([0, 1], []), c: float32([1], [3]) },
        { beta: 2 },
        { floats: ['beta'] },
      ),
  },
  {
    ...{ ...CPU, op: 'MatMul' },
    when: (site) =>
      site.input(0)?.shape.at(-1) === 0 || site.input(1)?.shape.at(-1) === 0 || empty(site.input(0)?.shape),
    about: 'over an inner dimension of 0, a vector is refused and later matrices of a batch are not written',
    example: () => single('MatMul', { a: float32([0, 0], []), b: float32([0], []) }, {}),
  },
  {
    ...{ ...CPU, op: 'Pad' },
    when: (site) => {
      const shape = site.input(0)?.shape ?? [];
      const pads = site.input(1)?.value ?? list(site.node.attrs.pads);
      return (
        site.node.attrs.mode === 'wrap' && pads.some((n, i) => Number(n) > Number(shape[i % shape.length]))
      );
    },
    about: 'padding by wrapping further than the tensor is long reads memory that is not its own',
    example: () =>
      single(
        'Pad',
        { x: float32([1], [3]) },
        { mode: 'wrap' },
        { opset: 23, constants: { pads: int64([2], [2, 0]) } },
      ),
  },
  {
    ...{ ...CPU, op: 'Slice' },
    when: (site) => {
      const [ends, steps] = [site.input(2)?.value ?? [], site.input(4)?.value ?? []];
      return (
        site.input(2)?.dtype === 'int32' && ends.some((end, i) => end === 2 ** 31 - 1 && Number(steps[i]) < 0)
      );
    },
    about: 'an int32 end of 2^31 - 1 with a negative step counts as the beginning of the dimension',
    example: () => {
      const index = (n: number) => ({ dtype: 'int32' as const, shape: [1], data: Int32Array.of(n) });
      return single(
        'Slice',
        { x: float32([2], [3, -3]) },
        {},
        { constants: { starts: index(0), ends: index(2 ** 31 - 1), axes: index(0), steps: index(-1) } },
      );
    },
  },
];
