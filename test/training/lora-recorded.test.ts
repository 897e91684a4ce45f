import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { float32, int64, type Tensor, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { withAllLogits } from '../../src/estimate/resize.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { addLora } from '../../src/transform/lora.ts';
import { readSafetensors } from '../../src/weights/index.ts';
import { fixture } from './numbers.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');

/** The mean of −log softmax(logits)[label] over next tokens whose label is not −100. */
function lossOf(logits: Tensor, labels: Tensor): number {
  const [rows, sequence, classes] = logits.shape as [number, number, number];
  const [scores, wanted] = [toNumbers(logits), toNumbers(labels)];
  const losses: number[] = [];
  for (let at = 0; at < rows * sequence; at++) {
    const label = wanted[at + 1]!;
    if (at % sequence === sequence - 1 || label < 0) continue;
    const row = scores.subarray(at * classes, (at + 1) * classes);
    losses.push(Math.log(row.reduce((sum, v) => sum + Math.exp(v), 0)) - row[label]!);
  }
  return losses.reduce((sum, v) => sum + v, 0) / losses.length;
}

describe('the loss that torch recorded with adapters', () => {
  it.each([
    'train-lora-randB',
    'train-lora-zeroB',
  ])('is that of %s, before and after three steps', async (name) => {
    const { model, io } = await fixture(name);
    const { lora } = JSON.parse(await readFile(join(FIXTURES, name, 'config.json'), 'utf8'));
    const whole = withAllLogits(model);
    const { model: graph } = await whole.build(whole.config);
    const spec = { r: lora.r, alpha: lora.alpha, targets: lora.target_modules };
    const { graphs, trained } = addLora({ model: graph! }, spec, { model: name });
    const weights: Tensors = {};
    for (const [key, t] of Object.entries(await readSafetensors(join(FIXTURES, name, 'weights.safetensors'))))
      weights[key.replace('.base_layer.', '.')] = t;
    expect(
      Object.keys(weights)
        .filter((key) => key.includes('lora_'))
        .sort(),
    ).toEqual([...trained].sort());
    const ids = io['input.input_ids']!;
    const [batch, sequence] = ids.shape as [number, number];
    const each = (of: (i: number) => number) =>
      int64(
        [batch, sequence],
        Array.from({ length: batch * sequence }, (_, i) => of(i % sequence)),
      );
    const feeds: Tensors = { input_ids: ids, attention_mask: each(() => 1), position_ids: each((i) => i) };
    for (const { name: input, shape } of graph!.inputs) {
      if (input.startsWith('past'))
        feeds[input] = float32([batch, Number(shape[1]), 0, Number(shape[3])], []);
    }
    const lossWith = (own: Tensors): number => {
      const { logits } = interpret(graphs.model, { ...weights, ...own }, feeds, ['logits']);
      return lossOf(logits!, io['input.labels']!);
    };
    const final = Object.fromEntries(trained.map((param) => [param, io[`final.${param}`]!]));
    expect(Math.abs(lossWith({}) - toNumbers(io['output.loss']!)[0]!)).toBeLessThan(1e-5);
    expect(Math.abs(lossWith(final) - toNumbers(io['output.loss_after']!)[0]!)).toBeLessThan(1e-5);
  });
});
