import type { Dim, Shape } from '../../core/graph.ts';
import { addDims, floorDivDim, mulDims, subDims } from '../dims.ts';
import { type OpContext, type OpEntry, type OpTable, typed } from './entry.ts';
import { resize } from './resize.ts';

const product = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

interface Window {
  readonly kernel: Shape;
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly auto: string;
}

function window(c: OpContext, spatial: number, kernel: Shape): Window {
  const list = (name: string, length: number, otherwise: number, least: number): readonly number[] => {
    const values = c.ints(name) ?? Array.from({ length }, () => otherwise);
    if (values.length !== length || values.some((v) => v < least)) {
      c.fail(`attribute ${name} must be ${length} numbers of at least ${least}, got [${values.join(', ')}]`);
    }
    return values;
  };
  return {
    kernel,
    strides: list('strides', spatial, 1, 1),
    dilations: list('dilations', spatial, 1, 1),
    pads: list('pads', 2 * spatial, 0, 0),
    auto: c.text('auto_pad', 'NOTSET'),
  };
}

/** Output size of one spatial dimension: ⌊(size + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1 (ONNX, Conv and MaxPool). */
function outputSize(c: OpContext, w: Window, size: Dim, i: number, ceil: boolean): Dim {
  const [stride, begin, end] = [w.strides[i]!, w.pads[i]!, w.pads[i + w.strides.length]!];
  if (w.auto === 'SAME_UPPER' || w.auto === 'SAME_LOWER')
    return floorDivDim(addDims(size, stride - 1), stride);
  const reach = addDims(mulDims(subDims(w.kernel[i]!, 1), w.dilations[i]!), 1);
  const padded = w.auto === 'VALID' ? size : addDims(size, begin + end);
  const room = subDims(padded, reach);
  if (typeof room === 'number' && room < 0) c.fail(`a window of ${reach} doesn't fit into ${padded}`);
  if (!ceil) return addDims(floorDivDim(room, stride), 1);
  const steps = floorDivDim(addDims(room, stride - 1), stride);
  // A window that would start in the padding at the end is dropped (ONNX since opset 19; onnxruntime and PyTorch always).
  if (typeof steps === 'number' && typeof size === 'number' && steps * stride >= size + begin) return steps;
  return addDims(steps, 1);
}

function kernelOf(c: OpContext, weight: Shape): Shape {
  const kernel = weight.slice(2);
  const declared = c.ints('kernel_shape');
  if (declared && declared.length !== kernel.length) c.fail('kernel_shape disagrees with the weight');
  declared?.forEach((k, i) => {
    c.same(kernel[i]!, k, 'kernel_shape disagrees with the weight');
  });
  return kernel;
}

const conv: OpEntry = {
  inputs: [2, 3],
  since: 1,
  infer: (c) => {
    const x = c.rank(0, [3, 5]);
    const weight = c.rank(1, x.length);
    const group = c.int('group', 1);
    if (group < 1) c.fail(`group is ${group}`);
    c.same(x[1]!, mulDims(weight[1]!, group), `channels of the input against the weight's × ${group} groups`);
    const out = weight[0]!;
    if (typeof out === 'number' && out % group !== 0)
      c.fail(`${out} output channels don't divide into ${group} groups`);
    if (c.has(2)) c.same(c.rank(2, 1)[0]!, out, 'length of the bias against the output channels');
    const w = window(c, x.length - 2, kernelOf(c, weight));
    const spatial = x.slice(2).map((d, i) => outputSize(c, w, d, i, false));
    return [typed(c.sameTypes(0, 1, 2), [x[0]!, out, ...spatial])];
  },
  // Every output element sums over the kernel and the input channels of its group.
  macs: (c) => product(c.output(0)) * product(c.input(1).slice(1)),
};

const convTranspose: OpEntry = {
  inputs: [2, 3],
  since: 1,
  infer: (c) => {
    const x = c.rank(0, [3, 5]);
    const weight = c.rank(1, x.length);
    const group = c.int('group', 1);
    c.same(x[1]!, weight[0]!, "channels of the input against the weight's");
    const w = window(c, x.length - 2, kernelOf(c, weight));
    const extra = c.ints('output_padding');
    const declared = c.ints('output_shape');
    const spatial = x.slice(2).map((d, i): Dim => {
      if (declared)
        return declared[declared.length - (x.length - 2) + i] ?? c.fail('output_shape is too short');
      const stride = w.strides[i]!;
      if (w.auto.startsWith('SAME')) return mulDims(d, stride);
      const reach = addDims(mulDims(subDims(w.kernel[i]!, 1), w.dilations[i]!), 1);
      const pads = w.pads[i]! + w.pads[i + x.length - 2]!;
      return subDims(addDims(addDims(mulDims(subDims(d, 1), stride), reach), extra?.[i] ?? 0), pads);
    });
    return [typed(c.sameTypes(0, 1, 2), [x[0]!, mulDims(weight[1]!, group), ...spatial])];
  },
  // Every input element is spread over the kernel and the output channels of its group.
  macs: (c) => product(c.input(0)) * product(c.input(1).slice(1)),
};

function pool(since: number, outputs: number): OpEntry {
  return {
    inputs: [1, 1],
    outputs,
    since,
    infer: (c) => {
      const x = c.rank(0, [3, 5]);
      const kernel = c.ints('kernel_shape') ?? c.fail('attribute kernel_shape is missing');
      if (kernel.length !== x.length - 2 || kernel.some((k) => k < 1))
        c.fail('kernel_shape must be one size per dimension');
      const w = window(c, x.length - 2, kernel);
      const ceil = c.int('ceil_mode', 0) !== 0;
      const shape = [x[0]!, x[1]!, ...x.slice(2).map((d, i) => outputSize(c, w, d, i, ceil))];
      const out = typed(c.in(0).dtype, shape);
      return outputs === 2 ? [out, typed('int64', shape)] : [out];
    },
  };
}

const globalPool: OpEntry = {
  inputs: [1, 1],
  since: 1,
  infer: (c) => {
    const x = c.rank(0, [2, 6]);
    return [typed(c.in(0).dtype, [x[0]!, x[1]!, ...x.slice(2).map(() => 1)])];
  },
};

/** Convolution, pooling and resampling. */
export const convolution: OpTable = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool(1, 2),
  AveragePool: pool(1, 1),
  LpPool: pool(2, 1),
  // One addition per element, as fvcore counts it.
  GlobalAveragePool: { ...globalPool, macs: (c) => product(c.input(0)) },
  GlobalMaxPool: globalPool,
  DepthToSpace: {
    inputs: [1, 1],
    since: 1,
    infer: (c) => {
      const [n, d, h, w] = c.rank(0, 4) as [Dim, Dim, Dim, Dim];
      const block = blockSize(c);
      if (typeof d === 'number' && d % (block * block) !== 0)
        c.fail(`${d} channels don't divide by ${block}²`);
      return [typed(c.in(0).dtype, [n, floorDivDim(d, block * block), mulDims(h, block), mulDims(w, block)])];
    },
  },
  SpaceToDepth: {
    inputs: [1, 1],
    since: 1,
    infer: (c) => {
      const [n, d, h, w] = c.rank(0, 4) as [Dim, Dim, Dim, Dim];
      const block = blockSize(c);
      return [
        typed(c.in(0).dtype, [n, mulDims(d, block * block), floorDivDim(h, block), floorDivDim(w, block)]),
      ];
    },
  },
  Resize: resize,
};

/** Operators that sample an image at computed places. */
export const sampling: OpTable = {
  GridSample: {
    inputs: [2, 2],
    since: 16,
    infer: (c) => {
      const x = c.rank(0, [3, 6]);
      const grid = c.rank(1, x.length);
      return [typed(c.in(0).dtype, [c.same(x[0]!, grid[0]!, 'batch'), x[1]!, ...grid.slice(1, -1)])];
    },
  },
  RoiAlign: {
    inputs: [3, 3],
    since: 10,
    floats: ['spatial_scale'],
    infer: (c) => {
      const [x, rois] = [c.rank(0, 4), c.rank(1, 2)];
      return [typed(c.in(0).dtype, [rois[0]!, x[1]!, c.int('output_height', 1), c.int('output_width', 1)])];
    },
  },
  NonMaxSuppression: {
    inputs: [2, 5],
    since: 10,
    infer: (c) => [typed('int64', [c.fresh('selected'), 3])],
  },
};

function blockSize(c: OpContext): number {
  const block = c.int('blocksize', 0);
  return block >= 1 ? block : c.fail(`blocksize is ${block}`);
}
