import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { int64, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { forwardOf } from '../../src/training/forward/index.ts';
import { trainingStep } from '../../src/training/step.ts';
import { model } from '../../src/zoo/index.ts';
import type { VitConfig } from '../../src/zoo/vit.ts';
import { drawn } from '../transform/passes.ts';

const published = model('deit-ti-16-distilled') as ModelDef<VitConfig>;
const small = (changes: Partial<VitConfig>): ModelDef<VitConfig> => ({
  ...published,
  config: {
    ...{ ...published.config, image: [8, 8], patch: [4, 4], width: 8, depth: 1 },
    ...{ heads: 2, mlpWidth: 8, classes: 3, ...changes },
  },
});
const built = async (def: ModelDef<VitConfig>) => (await def.build(def.config)) as Record<string, Graph>;

/** −log softmax of a label, averaged over rows of three classes. */
const crossEntropy = (logits: Float64Array, labels: readonly number[]): number => {
  const losses = labels.map((label, row) => {
    const own = [...logits.subarray(3 * row, 3 * row + 3)];
    return Math.log(own.reduce((sum, x) => sum + Math.exp(x), 0)) - own[label]!;
  });
  return losses.reduce((a, b) => a + b) / losses.length;
};

describe('hard distillation', () => {
  const labels = [0, 2];
  const taught = [1, 2];

  it('is half of the loss for the label on its head, half for what the teacher chose on the other', async () => {
    const def = small({ taps: true });
    const graphs = await built(def);
    const forward = await forwardOf(def, graphs, { batch: 2 }, { distillation: 'hard' });
    expect(forward.inputs.map(({ name }) => name)).toEqual(['pixel_values', 'labels', 'teacher_labels']);
    const weights: Tensors = Object.fromEntries(
      forward.graph.params
        .filter((p) => !p.data)
        .map(({ name, shape }) => [name, drawn(shape as number[], name.length)]),
    );
    const image = { pixel_values: drawn([2, 3, 8, 8], 1) };
    const fed = { ...image, labels: int64([2], labels), teacher_labels: int64([2], taught) };
    const own = interpret(graphs.model!, weights, image);
    const [byClass, byTeacher] = ['cls_logits', 'distillation_logits'].map((name) => toNumbers(own[name]!));
    const expected = (crossEntropy(byClass!, labels) + crossEntropy(byTeacher!, taught)) / 2;
    const lossAt = (at: Tensors): number => toNumbers(interpret(forward.graph, at, fed).loss!)[0]!;
    expect(lossAt(weights)).toBeCloseTo(expected, 5);

    // Each head's bias learns from its own target: the gradient of cross-entropy is (softmax − one-hot) ÷ rows, and half of that.
    const heads = ['cls_classifier.bias', 'distillation_classifier.bias'];
    const step = await trainingStep(forward, { trainable: new Set(heads), optimiser: { kind: 'sgd' } });
    const stepped = interpret(step.graph, weights, {
      ...fed,
      ...Object.fromEntries(step.state.map((s) => [s.input, weights[s.input]!])),
      lr: drawn([], 1),
    });
    const lr = toNumbers(drawn([], 1))[0]!;
    for (const [i, [logits, targets]] of [
      [byClass!, labels] as const,
      [byTeacher!, taught] as const,
    ].entries()) {
      const [before, after] = [weights[heads[i]!]!, stepped[`next/${heads[i]}`]!].map((t) => toNumbers(t));
      for (let c = 0; c < 3; c++) {
        const gradient = targets.reduce((sum, target, row) => {
          const all = [...logits.subarray(3 * row, 3 * row + 3)].map(Math.exp);
          const share = all[c]! / all.reduce((a, b) => a + b);
          return sum + (share - Number(target === c)) / 4;
        }, 0);
        expect(after![c]).toBeCloseTo(before![c]! - lr * gradient, 5);
      }
    }
  });

  it('needs a model that shows both heads', async () => {
    const def = small({});
    await expect(forwardOf(def, await built(def), { batch: 2 }, { distillation: 'hard' })).rejects.toThrow(
      /distillation needs the outputs cls_logits and distillation_logits/,
    );
  });
});
