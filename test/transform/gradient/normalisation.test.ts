import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tensor } from '../../../src/core/tensor.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { interpret } from '../../../src/graph/interpret.ts';
import { gradient } from '../../../src/transform/gradient/index.ts';
import { checkGradient } from './check.ts';

const size = fc.integer({ min: 1, max: 3 });
const plane = fc.array(size, { maxLength: 2 });
const positive = (_: number, uniform: () => number): number => 0.5 + uniform();
/** Two or more elements are normalised: of a single one the root of the variance has a kink within the step. */
const TOLERANCE = 1e-5;

describe('BatchNormalization', () => {
  it('with statistics that are given', () => {
    fc.assert(
      fc.property(size, size, plane, fc.integer(), (batch, channels, rest, seed) => {
        checkGradient({
          shapes: [[batch, channels, ...rest], [channels], [channels], [channels], [channels]],
          seed,
          draw: positive,
          build: (g, x, scale, bias, mean, variance) =>
            g.batchNorm(x!, scale!, bias!, mean!, variance!, 1e-3),
        });
      }),
      { numRuns: 20 },
    );
  });

  it.each([0, 0.9])('with those of the batch, momentum %d', (momentum) => {
    fc.assert(
      fc.property(size, size, plane, fc.integer(), (batch, channels, rest, seed) => {
        checkGradient({
          shapes: [[batch + 1, channels, ...rest], [channels], [channels]],
          seed,
          tolerance: TOLERANCE,
          build: (g, x, scale, bias) => {
            const ones = g.constant(tensor('float64', [channels], new Float64Array(channels).fill(1)));
            const attrs = { training_mode: 1, momentum, epsilon: 0.1 };
            return g.op('BatchNormalization', [x!, scale!, bias!, ones, ones], attrs, { outputs: 3 })[0]!;
          },
        });
      }),
      { numRuns: 15 },
    );
  });
});

describe('normalisations over the last axes', () => {
  const shape = fc.record({
    lead: fc.array(size, { maxLength: 2 }),
    normalised: fc.array(size, { minLength: 1, maxLength: 2 }),
    form: fc.constantFrom('whole', 'last axis', 'one number'),
    fromEnd: fc.boolean(),
    hasBias: fc.boolean(),
    seed: fc.integer(),
  });
  it.each(['LayerNormalization', 'RMSNormalization'])('%s', (op) => {
    const isLayer = op === 'LayerNormalization';
    fc.assert(
      fc.property(shape, ({ lead, normalised, form, fromEnd, hasBias, seed }) => {
        const scale = form === 'whole' ? normalised : form === 'last axis' ? [normalised.at(-1)!] : [1];
        const axis = fromEnd ? -normalised.length : lead.length;
        checkGradient({
          shapes: [[...lead, ...normalised], scale, ...(hasBias && isLayer ? [normalised] : [])],
          seed,
          tolerance: TOLERANCE,
          build: (g, ...inputs) => g.op('LayerNormalization', inputs, { axis, epsilon: 0.1 })[0]!,
          // The builder makes no operators of opset 23, but our passes do.
          rewrite: (graph) => ({
            ...graph,
            nodes: graph.nodes.map((n) => (n.op.startsWith('Layer') ? { ...n, op } : n)),
          }),
        });
      }),
      { numRuns: 30 },
    );
  });
});

describe('normalisations of groups', () => {
  it.each(['group', 'channel'])('GroupNormalization scaled by %s', (by) => {
    fc.assert(
      fc.property(size, size, size, plane, fc.integer(), (batch, groups, each, rest, seed) => {
        const channels = groups * each;
        const scale = by === 'group' ? groups : channels;
        checkGradient({
          shapes: [[batch, channels, ...rest, 2], [scale], [scale]],
          seed,
          tolerance: TOLERANCE,
          opset: by === 'group' ? 18 : 21,
          build: (g, ...inputs) =>
            g.op('GroupNormalization', inputs, { num_groups: groups, epsilon: 0.1 })[0]!,
        });
      }),
      { numRuns: 20 },
    );
  });

  it('InstanceNormalization', () => {
    checkGradient({
      shapes: [[2, 3, 2, 4], [3], [3]],
      build: (g, ...inputs) => g.op('InstanceNormalization', inputs, { epsilon: 0.1 })[0]!,
    });
  });
});

describe('normalisations without parameters', () => {
  it.each([1, 2])('LpNormalization of p = %d', (p) => {
    fc.assert(
      fc.property(
        fc.array(size, { minLength: 1, maxLength: 3 }),
        fc.nat(2),
        fc.integer(),
        (shape, at, seed) => {
          checkGradient({
            shapes: [shape],
            seed,
            draw: (i, uniform) => positive(i, uniform) * (uniform() < 0.5 ? -1 : 1),
            build: (g, x) => g.op('LpNormalization', [x!], { axis: at % shape.length, p })[0]!,
          });
        },
      ),
      { numRuns: 20 },
    );
  });

  it('of zeros gives zeros', () => {
    const g = new GraphBuilder('case');
    const x = g.input('x', 'float64', [2, 2]);
    g.output('y', g.op('LpNormalization', [x], { axis: -1, p: 2 })[0]!);
    const feeds = { x: tensor('float64', [2, 2], Float64Array.of(0, 0, 3, 4)) };
    const dx = interpret(gradient(g.build(), 'y', ['x']), {}, feeds)['grad.x']!;
    expect([...dx.data].slice(0, 2)).toEqual([0, 0]);
  });

  it.each([1, 2, 3, 4])('LRN over %d channels', (length) => {
    checkGradient({
      shapes: [[2, 5, 2, 2]],
      build: (g, x) => g.op('LRN', [x!], { size: length, alpha: 0.5, beta: 0.6, bias: 1.2 })[0]!,
    });
  });
});
