import { fail, intsAttr, numberAttr, type Site, textAttr } from './kernel.ts';

/** A sliding window over the spatial dimensions, as Conv and the pools describe it. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding before each dimension. */
  readonly begin: readonly number[];
  /** Padding after each dimension. */
  readonly end: readonly number[];
  readonly output: readonly number[];
}

/** Reads strides, dilations, pads, auto_pad and ceil_mode and computes the output's size (ONNX, Conv and MaxPool). */
export function windowOf(c: Site, size: readonly number[], kernel: readonly number[]): Window {
  const rank = size.length;
  const list = (name: string, fallback: number, length = rank): readonly number[] => {
    const values = intsAttr(c, name) ?? new Array<number>(length).fill(fallback);
    return values.length === length ? values : fail(c, `${name} wants ${length} numbers`);
  };
  const strides = list('strides', 1);
  const dilations = list('dilations', 1);
  if ([...strides, ...dilations, ...kernel].some((v) => v < 1))
    fail(c, 'kernel, strides and dilations start at 1');
  const pads = list('pads', 0, 2 * rank);
  const auto = textAttr(c, 'auto_pad', 'NOTSET');
  const ceil = numberAttr(c, 'ceil_mode', 0) !== 0;
  const begin: number[] = [];
  const end: number[] = [];
  const output = size.map((d, i) => {
    const reach = (kernel[i]! - 1) * dilations[i]! + 1;
    if (auto.startsWith('SAME')) {
      const steps = Math.ceil(d / strides[i]!);
      const total = Math.max(0, (steps - 1) * strides[i]! + reach - d);
      begin.push(auto === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2));
      end.push(total - begin[i]!);
      return steps;
    }
    begin.push(auto === 'VALID' ? 0 : pads[i]!);
    end.push(auto === 'VALID' ? 0 : pads[rank + i]!);
    const free = d + begin[i]! + end[i]! - reach;
    if (free < 0) fail(c, `a window of ${reach} does not fit into ${d + begin[i]! + end[i]!}`);
    const steps = (ceil ? Math.ceil(free / strides[i]!) : Math.floor(free / strides[i]!)) + 1;
    // A window that would start in the padding at the end is dropped (ONNX since opset 19; PyTorch and onnxruntime always).
    return ceil && (steps - 1) * strides[i]! >= d + begin[i]! ? steps - 1 : steps;
  });
  return { kernel, strides, dilations, begin, end, output };
}

/** Where a transposed convolution's window lies: it is the window of the convolution from the output back to the input. */
export function transposedWindow(c: Site, size: readonly number[], kernel: readonly number[]): Window {
  const rank = size.length;
  const strides = intsAttr(c, 'strides') ?? size.map(() => 1);
  const dilations = intsAttr(c, 'dilations') ?? size.map(() => 1);
  const extra = intsAttr(c, 'output_padding') ?? size.map(() => 0);
  const pads = intsAttr(c, 'pads') ?? new Array<number>(2 * rank).fill(0);
  const wanted = intsAttr(c, 'output_shape')?.slice(-rank);
  const auto = textAttr(c, 'auto_pad', 'NOTSET');
  const begin: number[] = [];
  const end: number[] = [];
  const output = size.map((d, i) => {
    const full = strides[i]! * (d - 1) + extra[i]! + (kernel[i]! - 1) * dilations[i]! + 1;
    const target = wanted?.[i] ?? (auto.startsWith('SAME') ? d * strides[i]! : undefined);
    if (target === undefined) {
      begin.push(auto === 'VALID' ? 0 : pads[i]!);
      end.push(auto === 'VALID' ? 0 : pads[rank + i]!);
      return full - begin[i]! - end[i]!;
    }
    const total = Math.max(0, full - target);
    begin.push(auto === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2));
    end.push(total - begin[i]!);
    return target;
  });
  if (output.some((d) => d < 1)) fail(c, `the result would have shape [${output.join(', ')}]`);
  return { kernel, strides, dilations, begin, end, output };
}

/**
 * Visits each window: `each(position, taps)`, where `taps` holds pairs (kernel index, input index), flattened, of the places inside
 * the input; the list is reused between calls. Returns nothing; positions run over `output` in row-major order.
 */
export function slide(
  w: Window,
  size: readonly number[],
  each: (position: number, taps: Int32Array, count: number) => void,
): void {
  const rank = size.length;
  const kernelCount = w.kernel.reduce((n, d) => n * d, 1);
  const outputCount = w.output.reduce((n, d) => n * d, 1);
  const taps = new Int32Array(2 * kernelCount);
  for (let position = 0; position < outputCount; position++) {
    let count = 0;
    for (let k = 0; k < kernelCount; k++) {
      let [o, q, at, step] = [position, k, 0, 1];
      let inside = true;
      for (let axis = rank - 1; axis >= 0; axis--) {
        const x =
          (o % w.output[axis]!) * w.strides[axis]! -
          w.begin[axis]! +
          (q % w.kernel[axis]!) * w.dilations[axis]!;
        if (x < 0 || x >= size[axis]!) {
          inside = false;
          break;
        }
        at += x * step;
        step *= size[axis]!;
        o = Math.floor(o / w.output[axis]!);
        q = Math.floor(q / w.kernel[axis]!);
      }
      if (!inside) continue;
      taps[count++] = k;
      taps[count++] = at;
    }
    each(position, taps, count);
  }
}
