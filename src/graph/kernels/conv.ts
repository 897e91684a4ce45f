import {
  type Call,
  fail,
  input,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  scratch,
  span,
  store,
} from './kernel.ts';
import { slide, transposedWindow, windowOf } from './window.ts';

/** The bias of one value per output channel, zeros when it is left out. */
function bias(c: Call, channels: number): Float64Array {
  const b = c.inputs[2];
  if (b && b.data.length !== channels) fail(c, `bias has ${b.data.length} values for ${channels} channels`);
  return b ? numbers(b) : new Float64Array(channels);
}

/** Cross-correlation over any number of spatial dimensions, with groups. */
const conv: Kernel = (c) => {
  const [x, w] = [input(c, 0), input(c, 1)];
  if (x.shape.length < 3 || w.shape.length !== x.shape.length) fail(c, 'ranks of input and weight differ');
  const group = numberAttr(c, 'group', 1);
  const [batch, channels] = x.shape as [number, number];
  const [filters, depth] = w.shape as [number, number];
  if (depth * group !== channels || filters % group !== 0) {
    fail(c, `${channels} channels and ${filters} filters of depth ${depth} don't fit ${group} groups`);
  }
  const size = x.shape.slice(2);
  const window = windowOf(c, size, w.shape.slice(2));
  const shape = [batch, filters, ...window.output];
  const [values, weight, added, out] = [numbers(x), numbers(w), bias(c, filters), scratch(c, shape)];
  const [plane, area, taps, perGroup] = [
    span(size),
    span(window.output),
    span(window.kernel),
    filters / group,
  ];
  slide(window, size, (position, places, count) => {
    for (let n = 0; n < batch; n++) {
      for (let f = 0; f < filters; f++) {
        const first = (n * channels + Math.floor(f / perGroup) * depth) * plane;
        let sum = added[f]!;
        for (let d = 0; d < depth; d++) {
          const from = first + d * plane;
          const kernel = (f * depth + d) * taps;
          for (let t = 0; t < count; t += 2)
            sum += values[from + places[t + 1]!]! * weight[kernel + places[t]!]!;
        }
        out[(n * filters + f) * area + position] = sum;
      }
    }
  });
  return [store(x.dtype, shape, out)];
};

/** The adjoint of Conv: every input element is spread over the window that it came from. Weight [channels, filters/group, …]. */
const convTranspose: Kernel = (c) => {
  const [x, w] = [input(c, 0), input(c, 1)];
  if (x.shape.length < 3 || w.shape.length !== x.shape.length) fail(c, 'ranks of input and weight differ');
  const group = numberAttr(c, 'group', 1);
  const [batch, channels] = x.shape as [number, number];
  const depth = w.shape[1]!;
  if (w.shape[0] !== channels || channels % group !== 0)
    fail(c, `${channels} channels don't fit ${group} groups`);
  const filters = depth * group;
  const size = x.shape.slice(2);
  const forward = transposedWindow(c, size, w.shape.slice(2));
  const shape = [batch, filters, ...forward.output];
  const [values, weight, added, out] = [numbers(x), numbers(w), bias(c, filters), scratch(c, shape)];
  const [plane, area, taps, perGroup] = [
    span(size),
    span(forward.output),
    span(forward.kernel),
    channels / group,
  ];
  for (let i = 0; i < out.length; i++) out[i] = added[Math.floor(i / area) % filters]!;
  slide({ ...forward, output: size }, forward.output, (position, places, count) => {
    for (let n = 0; n < batch; n++) {
      for (let ch = 0; ch < channels; ch++) {
        const value = values[(n * channels + ch) * plane + position]!;
        for (let d = 0; d < depth; d++) {
          const to = (n * filters + Math.floor(ch / perGroup) * depth + d) * area;
          const kernel = (ch * depth + d) * taps;
          for (let t = 0; t < count; t += 2)
            out[to + places[t + 1]!]! += value * weight[kernel + places[t]!]!;
        }
      }
    }
  });
  return [store(x.dtype, shape, out)];
};

export const convolution: KernelTable = { Conv: conv, ConvTranspose: convTranspose };
