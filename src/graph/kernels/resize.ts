import {
  axisOf,
  type Call,
  fail,
  input,
  intsAttr,
  intsInput,
  type Kernel,
  type KernelTable,
  numbers,
  refuse,
  scratch,
  span,
  store,
  textAttr,
} from './kernel.ts';

/** Where an output coordinate lies in the input (ONNX, Resize, coordinate_transformation_mode). */
const COORDINATE: Readonly<Record<string, (x: number, scale: number, from: number, to: number) => number>> = {
  half_pixel: (x, scale) => (x + 0.5) / scale - 0.5,
  pytorch_half_pixel: (x, scale, _from, to) => (to > 1 ? (x + 0.5) / scale - 0.5 : 0),
  align_corners: (x, _scale, from, to) => (to > 1 ? (x * (from - 1)) / (to - 1) : 0),
  asymmetric: (x, scale) => x / scale,
};

const NEAREST: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Which input elements an output element along one axis is made of, and with which weight. */
type Taps = readonly (readonly [index: number, weight: number])[];

function tapsOf(c: Call, from: number, to: number, scale: number): Taps[] {
  const transform = textAttr(c, 'coordinate_transformation_mode', 'half_pixel');
  const where = COORDINATE[transform] ?? refuse(c, `coordinate transformation ${transform}`);
  const mode = textAttr(c, 'mode', 'nearest');
  const clamp = (at: number): number => Math.max(0, Math.min(from - 1, at));
  return Array.from({ length: to }, (_, i): Taps => {
    const x = where(i, scale, from, to);
    if (mode === 'nearest') {
      const pick =
        NEAREST[textAttr(c, 'nearest_mode', 'round_prefer_floor')] ?? fail(c, 'nearest_mode is not known');
      return [[clamp(pick(x)), 1]];
    }
    if (mode !== 'linear') refuse(c, `mode ${mode}`);
    const low = Math.floor(x);
    const rest = x - low;
    return [
      [clamp(low), 1 - rest],
      [clamp(low + 1), rest],
    ];
  });
}

/** Nearest and linear resampling, one axis after the other. */
const resize: Kernel = (c) => {
  const x = input(c, 0);
  const axes = (intsAttr(c, 'axes') ?? x.shape.map((_, i) => i)).map((a) => axisOf(c, a, x.shape.length));
  const sizes = c.inputs[3] && c.inputs[3].data.length > 0 ? intsInput(c, 3) : undefined;
  const scales = c.inputs[2] && c.inputs[2].data.length > 0 ? [...numbers(c.inputs[2])] : undefined;
  if ((sizes ?? scales)?.length !== axes.length)
    fail(c, 'sizes or scales are missing or do not fit the axes');
  if (textAttr(c, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch') refuse(c, 'keep_aspect_ratio_policy');
  let shape = [...x.shape];
  let values = numbers(x);
  axes.forEach((axis, i) => {
    const from = shape[axis]!;
    const to = sizes ? sizes[i]! : Math.floor(from * scales![i]!);
    if (to === from && (scales?.[i] ?? 1) === 1) return;
    const next = shape.map((d, k) => (k === axis ? to : d));
    const out = scratch(c, next);
    const taps = tapsOf(c, from, to, scales?.[i] ?? to / from);
    const [outer, inner] = [span(shape, 0, axis), span(shape, axis + 1)];
    for (let o = 0; o < outer; o++) {
      for (let t = 0; t < to; t++) {
        for (const [index, weight] of taps[t]!) {
          for (let k = 0; k < inner; k++) {
            out[(o * to + t) * inner + k]! += weight * values[(o * from + index) * inner + k]!;
          }
        }
      }
    }
    [shape, values] = [next, out];
  });
  return [store(x.dtype, shape, values)];
};

export const resampling: KernelTable = { Resize: resize };
