import { afterAll, describe, expect, it } from 'vitest';
import type { Precision } from '../../src/core/backend.ts';
import type { ModelDef } from '../../src/core/model.ts';
import type { Tensors } from '../../src/core/tensor.ts';
import type { Workload } from '../../src/core/workload.ts';
import { compareTensors } from '../../src/stats/parity.ts';
import { classify } from '../../src/workloads/classify.ts';
import { generate } from '../../src/workloads/generate.ts';
import { imagePrompt } from '../../src/workloads/image-prompt.ts';
import { model } from '../../src/zoo/index.ts';
import { type backends, cleanUp, openActivity } from './harness.ts';

afterAll(cleanUp);

// biome-ignore lint/suspicious/noExplicitAny: workloads of different params in one table
const cases: [string, Workload<any>, ModelDef, unknown][] = [
  ['an image classifier', classify, model('vit-tiny'), {}],
  ['a language model', generate, model('qwen2-tiny'), { promptTokens: 5, newTokens: 3 }],
  [
    'a vision-language model',
    imagePrompt,
    model('llava-tiny'),
    { promptTokens: 4, newTokens: 2, dataset: 'shapes' },
  ],
];

describe.each(cases)('weights in blocks: %s', (_, workload, subject, params) => {
  const known = new Map<string, Promise<Tensors>>();
  const computed = async (precision: Precision, backend: keyof typeof backends): Promise<Tensors> => {
    const activity = await openActivity({ workload, model: subject, params, batch: 2, precision, backend });
    const found = await activity.outputs();
    await activity.close();
    return found;
  };
  const outputs = (precision: Precision, backend: keyof typeof backends): Promise<Tensors> => {
    const key = `${precision} ${backend}`;
    const found = known.get(key) ?? computed(precision, backend);
    known.set(key, found);
    return found;
  };
  const apart = async (a: Promise<Tensors>, b: Promise<Tensors>) =>
    compareTensors(await a, await b, 1, 'the other').max_rel;

  it('of 4 bits: onnxruntime computes what the interpreter does', async () => {
    expect(await apart(outputs('int4', 'cpu'), outputs('int4', 'reference'))).toBeLessThan(2e-5);
  });

  it('of 8 bits: within what rounding the activations to 8 bits costs', async () => {
    const error = await apart(outputs('int8', 'cpu'), outputs('int8', 'reference'));
    expect(error).toBeLessThan(0.05);
  });

  it('are near the model in float32, 8 bits nearer than 4', async () => {
    const full = outputs('fp32', 'reference');
    const four = await apart(outputs('int4', 'reference'), full);
    const eight = await apart(outputs('int8', 'reference'), full);
    expect(eight).toBeGreaterThan(0);
    expect(eight).toBeLessThan(four / 4);
  });
});
