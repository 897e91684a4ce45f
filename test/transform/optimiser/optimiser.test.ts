import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../src/core/graph.ts';
import { random } from '../../../src/core/random.ts';
import {
  elementCount,
  float32,
  type Tensors,
  tensor,
  toFloat16,
  toNumbers,
} from '../../../src/core/tensor.ts';
import { GraphBuilder, type Value } from '../../../src/graph/builder.ts';
import { interpret } from '../../../src/graph/interpret.ts';
import { adamCorrections } from '../../../src/training/schedule.ts';
import {
  addAccumulation,
  addOptimiser,
  type OptimiserSpec,
  type StateTensor,
  type Trained,
} from '../../../src/transform/optimiser/index.ts';
import { clipped, type Settings, type Slot, step } from './torch.ts';

type Shapes = readonly (readonly number[])[];

/** A graph that only updates: weights and gradients are both fed. */
function updating<T>(
  shapes: Shapes,
  half: boolean,
  append: (g: GraphBuilder, params: Trained[]) => T,
): { graph: Graph; made: T } {
  const g = new GraphBuilder('update');
  const params = shapes.map((shape, i): Trained => {
    const name = `p${i}`;
    const value = g.input(name, 'float32', shape);
    return { name, value, gradient: g.input(`grad/${name}`, half ? 'float16' : 'float32', shape) };
  });
  const made = append(g, params);
  return { graph: g.build(), made };
}

/** Feeds outputs back as the inputs that they hold the next of. */
function carried(state: readonly StateTensor[], outputs: Tensors): Tensors {
  return Object.fromEntries(state.map(({ input, output }) => [input, outputs[output]!]));
}

const initial = (state: readonly StateTensor[]): Tensors =>
  Object.fromEntries(
    state.flatMap(({ input, shape, initial: start }) =>
      start === undefined ? [] : [[input, float32(shape, new Float32Array(elementCount(shape)).fill(start))]],
    ),
  );

const size = fc.integer({ min: 1, max: 4 });
const settings = fc.record({
  kind: fc.constantFrom('adamw' as const, 'sgd' as const),
  shapes: fc.array(fc.array(size, { maxLength: 4 }), { minLength: 1, maxLength: 4 }),
  beta1: fc.constantFrom(0, 0.5, 0.9),
  beta2: fc.constantFrom(0.9, 0.999),
  eps: fc.constantFrom(1e-8, 1e-3),
  weightDecay: fc.constantFrom(0, 0.01, 0.3),
  momentum: fc.constantFrom(0, 0.9),
  nesterov: fc.boolean(),
  clipNorm: fc.constantFrom(undefined, 0.1, 1, 1e6),
  microBatches: fc.constantFrom(1, 1, 3),
  scaled: fc.boolean(),
  half: fc.boolean(),
  seed: fc.nat(1e6),
});

describe('optimisers as nodes', () => {
  it('take the steps that torch takes, for any shapes and settings', () => {
    fc.assert(
      fc.property(settings, (c) => {
        const rand = random(c.seed);
        const noise = (): number => Math.fround(2 * rand.uniform() - 1);
        const spec = {
          kind: c.kind,
          weightDecay: c.weightDecay,
          decays: (name: string) => name !== 'p1',
          rate: (name: string) => (name === 'p2' ? 0.25 : 1),
          ...(c.kind === 'adamw'
            ? { betas: [c.beta1, c.beta2], eps: c.eps }
            : { momentum: c.momentum, nesterov: c.nesterov && c.momentum > 0 }),
        } as OptimiserSpec;
        const { graph, made } = updating(c.shapes, c.half, (g, params) =>
          addOptimiser(g, params, spec, {
            microBatches: c.microBatches,
            ...(c.clipNorm !== undefined && { clipNorm: c.clipNorm }),
            ...(c.scaled && { lossScale: g.input('loss_scale', 'float32', []) }),
          }),
        );
        const more = updating(c.shapes, c.half, addAccumulation);
        const slots = c.shapes.map((shape, i): Slot => {
          const weights = Array.from({ length: elementCount(shape) }, noise);
          const zeros = weights.map(() => 0);
          return {
            weights,
            first: [...zeros],
            second: [...zeros],
            decays: i !== 1,
            rate: i === 2 ? 0.25 : 1,
          };
        });
        let state: Tensors = {
          ...initial(made.state),
          ...Object.fromEntries(slots.map((s, i) => [`p${i}`, float32(c.shapes[i]!, s.weights)])),
        };
        for (let t = 1; t <= 3; t++) {
          // Norms on both sides of the one that is clipped at, so that the factor changes from step to step.
          const strength = [1, 0.01, 3][t - 1]!;
          const scale = c.scaled ? 2 ** (3 + t) : 1;
          const sums = slots.map((s) => s.weights.map(() => 0));
          let outputs: Tensors = {};
          for (let k = 1; k <= c.microBatches; k++) {
            const feeds: Tensors = { ...state };
            slots.forEach((s, i) => {
              const bits = s.weights.map(() => toFloat16(strength * noise() * scale));
              const halves = tensor('float16', c.shapes[i]!, Uint16Array.from(bits));
              const numbers = toNumbers(halves);
              feeds[`grad/p${i}`] = c.half ? halves : float32(c.shapes[i]!, numbers);
              numbers.forEach((v, j) => {
                sums[i]![j]! += v / scale / c.microBatches;
              });
            });
            if (k < c.microBatches) {
              state = { ...state, ...carried(more.made, interpret(more.graph, {}, feeds)) };
              continue;
            }
            const { correction1, correction2 } = adamCorrections(t, [c.beta1, c.beta2]);
            Object.entries({ lr: 0.1 / t, correction1, correction2, loss_scale: scale }).forEach(
              ([name, v]) => {
                feeds[name] = float32([], [v]);
              },
            );
            outputs = interpret(graph, {}, feeds);
          }
          const { norm, gradients } = clipped(sums, c.clipNorm ?? Number.POSITIVE_INFINITY);
          const own: Settings = { ...c, lr: 0.1 / t };
          step(slots, gradients, own, t);
          slots.forEach((s, i) => {
            const got = toNumbers(outputs[`next/p${i}`]!);
            s.weights.forEach((v, j) => {
              expect(Math.abs(got[j]! - v), `p${i}[${j}] in step ${t}`).toBeLessThan(
                3e-6 * Math.max(1, Math.abs(v)),
              );
            });
          });
          if (made.norm) {
            const off = Math.abs(toNumbers(outputs[made.norm]!)[0]! - norm);
            expect(off).toBeLessThan(1e-6 * Math.max(1, norm));
          }
          state = { ...state, ...carried(made.state, outputs) };
        }
        for (const { holds, input } of made.state)
          if (holds === 'accumulator') expect(toNumbers(state[input]!).every((v) => v === 0)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it.each([Number.POSITIVE_INFINITY, Number.NaN])('change nothing where a gradient is %s', (bad) => {
    for (const kind of ['adamw', 'sgd'] as const) {
      const spec: OptimiserSpec = kind === 'adamw' ? { kind } : { kind, momentum: 0.9, weightDecay: 0.1 };
      const { graph, made } = updating([[2, 2], [3]], true, (g, params) =>
        addOptimiser(g, params, spec, { clipNorm: 1, lossScale: g.input('loss_scale', 'float32', []) }),
      );
      const numbers = (v: number) => ({ lr: 0.1, correction1: 0.1, correction2: 0.001, loss_scale: v });
      const scalars = (v: number): Tensors =>
        Object.fromEntries(Object.entries(numbers(v)).map(([name, x]) => [name, float32([], [x])]));
      const weights = { p0: float32([2, 2], [1, 2, 3, 4]), p1: float32([3], [5, 6, 7]) };
      const gradient = (v: number): Tensors => ({
        'grad/p0': tensor('float16', [2, 2], Uint16Array.from([8, 1, v, -3], toFloat16)),
        'grad/p1': tensor('float16', [3], Uint16Array.from([1, 2, 3], toFloat16)),
      });
      const first = interpret(
        graph,
        {},
        {
          ...initial(made.state),
          ...{ ...weights, ...gradient(2), ...scalars(256) },
        },
      );
      expect(toNumbers(first.finite!)).toEqual(Float64Array.of(1));
      const before = carried(made.state, first);
      expect(toNumbers(before.p0!)).not.toEqual(toNumbers(weights.p0));
      const skipped = interpret(graph, {}, { ...before, ...gradient(bad), ...scalars(256) });
      expect(toNumbers(skipped.finite!)).toEqual(Float64Array.of(0));
      expect(carried(made.state, skipped)).toEqual(before);
      // The step after it is the one that would have been taken in its place.
      const later = { ...gradient(2), ...scalars(128) };
      expect(interpret(graph, {}, { ...carried(made.state, skipped), ...later })).toEqual(
        interpret(graph, {}, { ...before, ...later }),
      );
    }
  });

  it('pass over tensors of the size of parameters as rarely as they say', () => {
    const passes = (spec: OptimiserSpec, options = {}): number => {
      const { graph } = updating([[64, 32]], false, (g, params) => addOptimiser(g, params, spec, options));
      return graph.nodes.filter((n) => {
        const shape = n.outputs.map((o) => graph.values![o]!.shape);
        return n.op === 'ReduceSumSquare' || shape.some((s) => elementCount(s as number[]) === 64 * 32);
      }).length;
    };
    expect(passes({ kind: 'adamw' })).toBe(11);
    expect(passes({ kind: 'adamw', weightDecay: 0 })).toBe(10);
    expect(passes({ kind: 'adamw' }, { clipNorm: 1 })).toBe(12);
    expect(passes({ kind: 'sgd' })).toBe(2);
    expect(passes({ kind: 'sgd', momentum: 0.9 })).toBe(4);
    // The sum with the accumulator, and the zeros that are left in it.
    expect(passes({ kind: 'sgd' }, { microBatches: 4 })).toBe(4);
  });

  it('share their scalars among parameters', () => {
    const nodes = (count: number): number =>
      updating(Array(count).fill([4]) as number[][], false, (g, params) =>
        addOptimiser(g, params, { kind: 'adamw' }),
      ).graph.nodes.length;
    expect(nodes(3) - nodes(2)).toBe(11);
  });

  it('say what is wrong with their settings', () => {
    const asked = (spec: OptimiserSpec, options = {}, dtype: 'float32' | 'float16' = 'float32') => {
      const g = new GraphBuilder('update');
      const value: Value = g.input('p', dtype, [2]);
      return () => addOptimiser(g, [{ name: 'p', value, gradient: value }], spec, options);
    };
    expect(asked({ kind: 'adamw', betas: [0.9, 1] })).toThrow('beta2');
    expect(asked({ kind: 'adamw', eps: 0 })).toThrow('eps');
    expect(asked({ kind: 'sgd', nesterov: true })).toThrow('nesterov needs momentum');
    expect(asked({ kind: 'sgd' }, { clipNorm: 0 })).toThrow('clip');
    expect(asked({ kind: 'sgd' }, { microBatches: 1.5 })).toThrow('micro-batches');
    expect(asked({ kind: 'sgd' }, {}, 'float16')).toThrow('parameter p is float16');
  });
});
