import { float32, int64 } from '../../src/core/tensor.ts';
import { numbered } from './generate/draws.ts';
import { type KnownBug, single } from './known.ts';
import { dilatedSame } from './known-onnxruntime.ts';

const WEBGPU = { runtime: 'onnxruntime-webgpu', version: '1.30.0' } as const;

const untouched = (op: string, about: string): KnownBug => ({
  ...{ ...WEBGPU, op },
  when: ({ node }) => node.attrs.noop_with_empty_axes === 1,
  about: `without axes and with noop_with_empty_axes ${about}`,
  example: () => single(op, { x: float32([1], [3]) }, { noop_with_empty_axes: 1 }, { opset: 18 }),
});

/** Faults of onnxruntime's WebGPU provider in what shapes, axes and attributes ask for, found by the fuzzer. */
export const ONNXRUNTIME_WEBGPU_SHAPES: readonly KnownBug[] = [
  dilatedSame('AveragePool', WEBGPU.runtime),
  dilatedSame('MaxPool', WEBGPU.runtime),
  untouched('ReduceSumSquare', 'no square is taken'),
  untouched('ReduceLogSum', 'no logarithm is taken'),
  {
    ...{ ...WEBGPU, op: 'Conv' },
    when: ({ node, input }) => Number(node.attrs.group ?? 1) > 1 && input(0)?.shape.length === 5,
    about: 'over three axes and with groups it is refused',
    example: () =>
      single(
        'Conv',
        { x: numbered('float32', [1, 2, 1, 1, 1], 1), w: numbered('float32', [2, 1, 1, 1, 1], 2) },
        { group: 2 },
      ),
  },
  {
    ...{ ...WEBGPU, op: 'ConvTranspose' },
    when: ({ input }) => input(0)?.shape.length === 5,
    about: 'over three axes it is refused, and not before it runs',
    example: () =>
      single(
        'ConvTranspose',
        { x: numbered('float32', [1, 1, 1, 1, 1], 1), w: numbered('float32', [1, 1, 1, 1, 1], 2) },
        {},
      ),
  },
  {
    ...{ ...WEBGPU, op: 'Slice' },
    when: ({ input }) => {
      const [ends, steps] = [input(2)?.value ?? [], input(4)?.value ?? []];
      return ends.some((end, i) => Number(end) < 0 && Number(steps[i]) < 0);
    },
    about: 'backwards to an end before the beginning it starts at the wrong element',
    example: () => {
      const [starts, ends, axes, steps] = [0, -3, 0, -1].map((n) => int64([1], [n]));
      return single(
        'Slice',
        { x: float32([2], [3, -3]) },
        {},
        { constants: { starts: starts!, ends: ends!, axes: axes!, steps: steps! } },
      );
    },
  },
];
