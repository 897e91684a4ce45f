import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { int64, type Tensor, type Tensors, tensor, toNumbers } from '../../src/core/tensor.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { arrange, headOf } from '../../src/training/arrange.ts';
import { forwardOf } from '../../src/training/forward/index.ts';
import { judgeOf } from '../../src/training/judge.ts';
import { stored } from '../../src/training/layout.ts';
import { judging, stepParts } from '../../src/training/parts.ts';
import { rightOnes } from '../../src/training/right.ts';
import { type StepOptions, trainingStep } from '../../src/training/step.ts';
import { model } from '../../src/zoo/index.ts';
import type { VitConfig } from '../../src/zoo/vit.ts';
import { drawn } from '../transform/passes.ts';

describe('parts of a step', () => {
  it('give the gradients that the step applies, and the logits that its loss judges', async () => {
    const def = model('resnet-tiny');
    const graphs = (await def.build(def.config)) as Record<string, Graph>;
    const head = headOf(graphs.model!, 'logits');
    const forward = await forwardOf(def, graphs, { batch: 2 });
    const options: StepOptions = { trainable: head, optimiser: { kind: 'sgd' } };
    const step = await trainingStep(forward, options);
    const parts = await stepParts(forward, options, step);
    const judged = judging(await forwardOf(def, graphs, { batch: 2 }, { statistics: 'running' }), step);
    const weights: Tensors = {};
    for (const graph of [step.graph, parts.backward, parts.forward, judged]) {
      for (const { name, shape } of [...graph.inputs, ...graph.params]) {
        if (name === 'labels' || graph.params.find((p) => p.name === name)?.data || weights[name]) continue;
        // Variances are above zero.
        const numbers = drawn(shape as number[], name.length);
        weights[name] = /var$/.test(name)
          ? tensor('float32', numbers.shape, new Float32Array(numbers.data.length).fill(1))
          : numbers;
      }
    }
    const feeds: Tensors = { ...weights, labels: int64([2], [3, 1]), lr: drawn([], 1) };
    const run = (graph: Graph): Tensors => {
      const fed = graph.inputs.map(({ name }) => [name, feeds[name]!] as const);
      return interpret(graph, weights, Object.fromEntries(fed));
    };
    const [whole, backward, ahead] = [run(step.graph), run(parts.backward), run(parts.forward)];
    expect(toNumbers(backward.loss!)).toEqual(toNumbers(whole.loss!));
    expect(toNumbers(ahead.loss!)).toEqual(toNumbers(whole.loss!));
    const lr = toNumbers(feeds.lr!)[0]!;
    expect(parts.gradients).toEqual([...head].map((name) => `gradient/${name}`));
    for (const name of head) {
      const [before, after, gradient] = [
        weights[name]!,
        whole[`next/${name}`]!,
        backward[`gradient/${name}`]!,
      ].map((t: Tensor) => toNumbers(t)) as [Float64Array, Float64Array, Float64Array];
      after.forEach((w, i) => {
        expect(Math.abs(before[i]! - lr * gradient[i]! - w)).toBeLessThan(1e-6);
      });
    }
    expect(judged.inputs.map((i) => i.name)).not.toContain('labels');
    expect(run(judged).logits!.shape).toEqual([2, 8]);
  });
});

describe('a judge of weights that a step keeps turned around', () => {
  it('reads square ones as the model does', async () => {
    const target = { microsoft: true };
    const tiny = model('vit-tiny') as ModelDef<VitConfig>;
    const def = {
      ...tiny,
      config: { ...tiny.config, image: [16, 16] as const, width: 8, mlpWidth: 12, depth: 1, heads: 2 },
    };
    const graphs = (await def.build(def.config)) as Record<string, Graph>;
    const forward = await forwardOf(def, graphs, { batch: 2 });
    const names = forward.graph.params.filter((p) => p.role === 'weight').map((p) => p.name);
    const options: StepOptions = { trainable: new Set(names), optimiser: { kind: 'sgd' }, target };
    const step = await trainingStep(forward, options);
    const square = step.state.filter((s) => s.transposed && s.shape[0] === s.shape[1]);
    expect(square.length).toBeGreaterThan(3);
    const weights: Tensors = Object.fromEntries(
      step.params.map(({ name, shape }) => [name, drawn(shape as number[], name.length)]),
    );
    const image = drawn([2, 3, 16, 16], 5);
    const own = { pixel_values: image, labels: int64([2], [3, 1]) };
    const state = Object.fromEntries(step.state.map((s) => [s.input, stored(weights[s.input]!, s)]));
    const parts = await stepParts(forward, options, step);
    const run = (graph: Graph, kept: Tensors): Tensors => {
      const feeds: Tensors = { ...own, ...kept, lr: drawn([], 1) };
      const fed = graph.inputs.map(({ name }) => [name, feeds[name]!] as const);
      return interpret(graph, kept, Object.fromEntries(fed));
    };
    const { loss, logits } = run(forward.graph, weights);
    for (const graph of [step.graph, parts.forward, parts.backward, judgeOf(forward, step, target)]) {
      expect(toNumbers(run(graph, state).loss!)[0]).toBeCloseTo(toNumbers(loss!)[0]!, 5);
    }
    const judged = toNumbers(run(judging(forward, step, target), state).logits!);
    judged.forEach((x, i) => {
      expect(x).toBeCloseTo(toNumbers(logits!)[i]!, 4);
    });
  });
});

describe('what trains', () => {
  it('is the scope, or adapters within it, and always the head that is new', async () => {
    const def = model('vit-tiny');
    const graphs = (await def.build(def.config)) as Record<string, Graph>;
    const head = headOf(graphs.model!, 'logits');
    expect([...head].sort()).toEqual(['classifier.bias', 'classifier.weight']);
    const full = arrange(def, graphs, { way: 'full', fresh: head });
    expect(full.trainable.size).toBe(graphs.model!.params.filter((p) => p.role === 'weight').length);
    for (const way of ['lora', 'qlora'] as const) {
      const { trainable, graphs: made } = arrange(def, graphs, { way, fresh: head });
      expect([...trainable].filter((name) => !name.includes('.lora_')).sort()).toEqual([...head].sort());
      const packed = made.model!.params.filter((p) => p.packed?.holds === 'values');
      expect(packed.length > 0).toBe(way === 'qlora');
      expect(packed.some((p) => head.has(p.packed!.of.name))).toBe(false);
    }
    expect(() => arrange(def, graphs, { way: 'some' as never })).toThrow(/no way of training/);
  });

  it('of a model with parts is one of them', async () => {
    const def = model('phi-3.5-vision-tiny');
    const graphs = (await def.build(def.config)) as Record<string, Graph>;
    const lora = arrange(def, graphs, { way: 'lora', scope: 'decoder' });
    expect(lora.trainable.size).toBeGreaterThan(0);
    for (const name of lora.trainable) expect(name).toMatch(/^model\.layers\./);
    expect(() => arrange(def, graphs, { way: 'full', scope: 'encoder' })).toThrow(/unknown scope/);
  });
});

describe('answers are right', () => {
  const logits = (rows: readonly number[][], vocabulary: number): Float32Array =>
    Float32Array.from(
      rows.flatMap((row) =>
        row.flatMap((id) => Array.from({ length: vocabulary }, (_, v) => (v === id ? 2 : -v))),
      ),
    );

  it('by class, first among equals', () => {
    const t = tensor('float32', [2, 3], Float32Array.from([0, 5, 1, 4, 4, 0]));
    expect(rightOnes(t, int64([2], [1, 1]), { next: true })).toEqual([true, false]);
  });

  it('where each token is foretold by the place before it, an image between', () => {
    // Tokens a b | image image | c d e: places 0 1 2 3 4 5 6, and what each foretells.
    const t = tensor(
      'float32',
      [2, 7, 9],
      logits(
        [
          [0, 0, 0, 5, 6, 7, 0],
          [0, 0, 0, 5, 1, 7, 0],
        ],
        9,
      ),
    );
    const labels = int64([2, 5], [-100, -100, 5, 6, 7, -100, -100, 5, 6, 7]);
    expect(rightOnes(t, labels, { before: 2, next: true })).toEqual([true, false]);
    expect(
      rightOnes(t, int64([2, 5], [-100, -100, -100, -100, 7, -100, -100, -100, -100, 7]), {
        before: 2,
        next: true,
      }),
    ).toEqual([true, true]);
  });

  it('where a decoder that begins with a start token has each at its own place', () => {
    const t = tensor('float32', [1, 3, 9], logits([[4, 5, 0]], 9));
    expect(rightOnes(t, int64([1, 3], [4, 5, -100]), { next: false })).toEqual([true]);
    expect(rightOnes(t, int64([1, 3], [5, 4, -100]), { next: false })).toEqual([false]);
  });
});
