import fc from 'fast-check';
import { describe, it } from 'vitest';
import { windowOf } from '../../../src/graph/kernels/window.ts';
import { checkGradient } from './check.ts';

/** One spatial axis of a convolution, or of its adjoint. */
const axis = fc.record({
  size: fc.integer({ min: 3, max: 6 }),
  kernel: fc.integer({ min: 1, max: 3 }),
  stride: fc.integer({ min: 1, max: 3 }),
  dilation: fc.integer({ min: 1, max: 2 }),
  before: fc.nat(2),
  after: fc.nat(2),
});
type Axis = typeof axis extends fc.Arbitrary<infer T> ? T : never;

const shape = fc.record({
  axes: fc.oneof(
    { weight: 1, arbitrary: fc.array(axis, { minLength: 1, maxLength: 1 }) },
    { weight: 4, arbitrary: fc.array(axis, { minLength: 2, maxLength: 2 }) },
    { weight: 1, arbitrary: fc.array(axis, { minLength: 3, maxLength: 3 }) },
  ),
  batch: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 3 }),
  depth: fc.constantFrom(1, 2),
  filters: fc.constantFrom(1, 2),
  isDepthwise: fc.boolean(),
  auto: fc.constantFrom('NOTSET', 'NOTSET', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
  seed: fc.integer(),
});

const windowAttrs = (axes: readonly Axis[], auto: string) => ({
  strides: axes.map((a) => a.stride),
  dilations: axes.map((a) => a.dilation),
  ...(auto === 'NOTSET'
    ? { pads: [...axes.map((a) => a.before), ...axes.map((a) => a.after)] }
    : { auto_pad: auto }),
});

const fits = (axes: readonly Axis[], isPadded: boolean): boolean =>
  axes.every((a) => a.size + (isPadded ? a.before + a.after : 0) > (a.kernel - 1) * a.dilation);

describe('convolution', () => {
  it('of one to three axes, with strides, padding, dilations and groups', () => {
    fc.assert(
      fc.property(shape, ({ axes, batch, group, depth, filters, isDepthwise, auto, seed }) => {
        fc.pre(fits(axes, auto === 'NOTSET'));
        const [inside, out] = isDepthwise ? [1, 1] : [depth, filters];
        const attrs = { ...windowAttrs(axes, auto), group, kernel_shape: axes.map((a) => a.kernel) };
        checkGradient({
          shapes: [
            [batch, group * inside, ...axes.map((a) => a.size)],
            [group * out, inside, ...axes.map((a) => a.kernel)],
            [group * out],
          ],
          seed,
          build: (g, x, w, bias) => g.op('Conv', [x!, w!, bias!], attrs),
        });
      }),
      { numRuns: 80 },
    );
  });

  it('with enough channels for a product per place of the kernel', () => {
    fc.assert(
      fc.property(fc.array(axis, { minLength: 2, maxLength: 2 }), fc.integer(), (axes, seed) => {
        fc.pre(fits(axes, true));
        checkGradient({
          shapes: [
            [2, 16, ...axes.map((a) => a.size)],
            [3, 16, ...axes.map((a) => a.kernel)],
          ],
          seed,
          build: (g, x, w) => g.conv(x!, w!, null, windowAttrs(axes, 'NOTSET')),
        });
      }),
      { numRuns: 15 },
    );
  });

  it.each([
    ['of patches, the last of them cut off', [4, 9], [2, 4], [2, 4], 3],
    ['of points with few places and many channels', [1, 2], [1, 1], [1, 1], 5],
    ['of points with strides', [5, 4], [1, 1], [2, 3], 2],
    ['of points of one image', [3, 3], [1, 1], [1, 1], 2],
  ])('%s', (what, size, kernel, strides, channels) => {
    checkGradient({
      shapes: [[what.endsWith('one image') ? 1 : 2, channels, ...size], [4, channels, ...kernel], [4]],
      build: (g, x, w, bias) => g.conv(x!, w!, bias!, { strides }),
    });
  });
});

describe('transposed convolution', () => {
  it('with strides, padding before and after, output padding, dilations and groups', () => {
    fc.assert(
      fc.property(shape, fc.nat(2), ({ axes, batch, group, depth, filters, auto, seed }, extra) => {
        const added = axes.map((a) => Math.min(extra, Math.max(a.stride, a.dilation) - 1));
        const attrs = {
          ...windowAttrs(axes, auto),
          group,
          kernel_shape: axes.map((a) => a.kernel),
          ...(auto === 'NOTSET' && { output_padding: added }),
        };
        const full = axes.map(
          (a, i) => (Math.min(a.size, 4) - 1) * a.stride + (a.kernel - 1) * a.dilation + 1 + added[i]!,
        );
        fc.pre(
          auto === 'NOTSET'
            ? axes.every((a, i) => full[i]! > a.before + a.after)
            : axes.every((a) => (a.kernel - 1) * a.dilation + 1 >= a.stride),
        );
        checkGradient({
          shapes: [
            [batch, group * depth, ...axes.map((a) => Math.min(a.size, 4))],
            [group * depth, filters, ...axes.map((a) => a.kernel)],
            [group * filters],
          ],
          seed,
          build: (g, x, w, bias) => g.op('ConvTranspose', [x!, w!, bias!], attrs),
        });
      }),
      { numRuns: 60 },
    );
  });
});

const pooled = fc.record({
  axes: fc.array(axis, { minLength: 1, maxLength: 2 }),
  ceil: fc.constantFrom(0 as const, 1 as const),
  count_include_pad: fc.constantFrom(0, 1),
  seed: fc.integer(),
});

/** Whether every window holds an element, as pools need. */
function holds(axes: readonly Axis[], attrs: Record<string, unknown>): boolean {
  if (!fits(axes, true)) return false;
  const site = { node: { op: 'MaxPool', inputs: [], outputs: ['y'], attrs } } as never;
  const w = windowOf(
    site,
    axes.map((a) => a.size),
    axes.map((a) => a.kernel),
  );
  return axes.every((a, i) =>
    Array.from({ length: w.output[i]! }, (_, o) =>
      Array.from({ length: a.kernel }, (_k, k) => o * a.stride - a.before + k * a.dilation),
    ).every((places) => places.some((at) => at >= 0 && at < a.size)),
  );
}

/** Numbers that are all different by far more than a step: a maximum has a kink where two are equal. */
function apart(seed: number): () => number {
  let i = Math.abs(seed % 1009);
  return () => ((i++ * 617) % 1009) / 500 - 1;
}

describe.each(['MaxPool', 'AveragePool'])('%s', (op) => {
  it('with strides, padding, overlaps, dilations and ceil_mode', () => {
    fc.assert(
      fc.property(pooled, ({ axes, ceil, count_include_pad, seed }) => {
        const attrs = {
          ...windowAttrs(axes, 'NOTSET'),
          kernel_shape: axes.map((a) => a.kernel),
          ceil_mode: ceil,
          ...(op === 'AveragePool' && { count_include_pad }),
        };
        fc.pre(holds(axes, attrs));
        checkGradient({
          shapes: [[2, 2, ...axes.map((a) => a.size)]],
          draw: apart(seed),
          opset: 21,
          build: (g, x) => g.op(op, [x!], attrs),
        });
      }),
      { numRuns: 50 },
    );
  });
});
