import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { float32, toNumbers } from '../../src/core/tensor.ts';
import { openOnnx } from '../../src/graph/onnx/index.ts';
import { rankOf } from '../../src/workloads/accuracy.ts';
import { classify } from '../../src/workloads/classify.ts';
import { decode } from '../../src/workloads/decode.ts';
import { concrete, drawImages, imageDims, imageInput } from '../../src/workloads/inputs.ts';
import { model } from '../../src/zoo/index.ts';
import { cleanUp, openActivity, repeat, scratch, smallShapes } from './harness.ts';

afterAll(cleanUp);

const foreign = (name: string): ModelDef => {
  const file = path.join(import.meta.dirname, `../fixtures/${name}/model.onnx`);
  return {
    name,
    family: 'foreign',
    task: 'classify',
    config: null,
    files: { model: file },
    build: async () => ({ model: (await openOnnx(file)).graph }),
  };
};

describe("a user's own ONNX file", () => {
  it.each(['onnx-resnet', 'onnx-vit'])('%s is asked by the names and sizes it has', async (name) => {
    const activity = await openActivity({ workload: classify, model: foreign(name), params: {}, batch: 3 });
    expect(await repeat(activity)).toEqual([{ phase: 'infer', items: 3 }]);
    const [logits] = Object.values(await activity.outputs());
    expect(logits!.shape[0]).toBe(3);
    expect(activity.scores).toBeUndefined();
    await activity.close();
    expect(await classify.macs?.({}, 3, foreign(name))).toBeGreaterThan(0);
  });
});

describe('image inputs', () => {
  const input = (...shape: (number | string)[]) => ({ name: 'x', dtype: 'float32' as const, shape });
  const bare = { ...foreign('onnx-vit'), name: 'bare' };

  it('take open sizes from dims, then from the preprocessing', () => {
    const open = input('N', 3, 'h', 'w');
    expect(concrete(open, imageDims(open, { ...bare, dims: { h: 5, w: 6 } }, 2))).toEqual([2, 3, 5, 6]);
    const { preprocess } = model('resnet-tiny');
    expect(concrete(open, imageDims(open, { ...bare, preprocess: preprocess! }, 2))).toEqual([2, 3, 64, 64]);
    expect(() => imageDims(open, bare, 2)).toThrow(/dimension h is open/);
  });

  it('say when the batch is fixed', () => {
    expect(concrete(input(4, 3, 8, 8), imageDims(input(4, 3, 8, 8), bare, 4))).toEqual([4, 3, 8, 8]);
    expect(() => imageDims(input(4, 3, 8, 8), bare, 2)).toThrow(/fixed at 4, asked for 2/);
  });

  it('are told from other inputs', () => {
    expect(() => imageInput([])).toThrow(/exactly one input/);
    expect(() => imageInput([input('N', 3, 8, 8), input('N', 5)])).toThrow(/exactly one input/);
    expect(() => imageInput([input('N', 5)])).toThrow(/exactly one input/);
  });

  it('are drawn with mean 0 and deviation 1, in any float type, or as bytes', () => {
    const values = toNumbers(drawImages(input(1, 3, 64, 64), [1, 3, 64, 64], 5));
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.03);
    const half = toNumbers(drawImages({ ...input(), dtype: 'float16' }, [1, 3, 64, 64], 5));
    expect(Math.max(...half.map((v, i) => Math.abs(v - values[i]!)))).toBeLessThan(1e-3);
    const bytes = drawImages({ ...input(), dtype: 'uint8' }, [1, 8, 8, 3], 5);
    expect(bytes.data).toBeInstanceOf(Uint8Array);
    expect(() => drawImages({ ...input(), dtype: 'int64' }, [1], 5)).toThrow(/image input of int64/);
  });
});

describe('accuracy', () => {
  it('ranks the target below all that exceed it and equals before it', () => {
    expect(rankOf(float32([4], [1, 3, 2, 3]).data as Float32Array, 1)).toBe(0);
    expect(rankOf(float32([4], [1, 3, 2, 3]).data as Float32Array, 3)).toBe(1);
    expect(rankOf(float32([4], [1, 3, 2, 3]).data as Float32Array, 0)).toBe(3);
  });

  it('is that of the logits, sample by sample, whatever the batch', async () => {
    const dataset = await smallShapes.prepare(path.join(scratch, 'datasets'));
    const classes = [
      'none',
      ...dataset.manifest.classes,
      ...Array.from({ length: 91 }, (_, i) => `other ${i}`),
    ];
    const subject = { ...model('resnet-tiny'), classes };
    const scores = async (batch: number) => {
      const activity = await openActivity({
        ...{ workload: classify, model: subject, batch, trained: true },
        params: { dataset: 'shapes', samples: 10 },
      });
      const found = await activity.scores!();
      await activity.close();
      return found;
    };
    const found = await scores(4);
    expect(await scores(1)).toEqual(found);
    const [top1, top5] = found;
    expect(found.map((s) => [s.metric, s.n, s.correct?.length])).toEqual([
      ['top1', 10, 10],
      ['top5', 10, 10],
    ]);
    expect(top1!.value).toBe(top1!.correct!.filter(Boolean).length / 10);
    expect(top1!.correct!.every((right, i) => !right || top5!.correct![i])).toBe(true);
  });

  it('is not made up: none for seeded weights, none for unknown classes', async () => {
    const known = {
      ...model('resnet-tiny'),
      classes: [...(await smallShapes.prepare(path.join(scratch, 'datasets'))).manifest.classes],
    };
    for (const [subject, trained] of [
      [known, false],
      [{ ...known, classes: ['cat'] }, true],
      [model('resnet-tiny'), true],
    ] as const) {
      const params = { dataset: 'shapes' };
      const activity = await openActivity({ workload: classify, model: subject, params, trained });
      expect(activity.scores).toBeUndefined();
      await activity.close();
    }
  });
});

describe('a model with features', () => {
  it.each([
    ['hog-tiny', 'cpu'],
    ['sift-tiny', 'cpu'],
    ['sift-tiny', 'reference'],
  ] as const)('%s on %s: computes them in a phase of its own, and counts images once', async (name, backend) => {
    const activity = await openActivity({
      ...{ workload: classify, model: model(name), batch: 3, backend },
      params: { dataset: 'shapes' },
    });
    expect(await repeat(activity)).toEqual([
      { phase: 'features', items: 0 },
      { phase: 'infer', items: 3 },
    ]);
    expect((await activity.outputs()).logits!.shape).toEqual([3, 8]);
    // What is timed is what is compared.
    let logits: unknown;
    for await (const step of activity.steps(0)) logits = await step.run();
    expect(logits).toEqual(await activity.outputs());
    expect(activity.scores).toBeUndefined();
    await activity.close();
  });

  it('draws bytes where there is no dataset, and counts the multiply–accumulates of its graph alone', async () => {
    const subject = model('hog-tiny');
    const activity = await openActivity({ workload: classify, model: subject, params: {}, batch: 2 });
    expect((await activity.outputs()).logits!.shape).toEqual([2, 8]);
    await activity.close();
    expect(await classify.macs!({}, 2, subject)).toBe(2 * 8 * 324);
    const gflops = classify.metrics.find((m) => m.name === 'gflops');
    expect(gflops?.phases).toEqual(['infer']);
    expect(classify.metrics.find((m) => m.name === 'latency')?.phases).toBeUndefined();
  });

  it('is scored where it was trained', async () => {
    const dataset = await smallShapes.prepare(path.join(scratch, 'datasets'));
    const activity = await openActivity({
      ...{ workload: classify, model: { ...model('hog-tiny'), classes: dataset.manifest.classes }, batch: 4 },
      ...{ trained: true, params: { dataset: 'shapes', samples: 10 } },
    });
    const scores = await activity.scores!();
    expect(scores.map((s) => [s.metric, s.n])).toEqual([
      ['top1', 10],
      ['top5', 10],
    ]);
    await activity.close();
  });

  it('wants images of the size that its features are made for', async () => {
    const { preprocess } = model('hog-linear');
    const subject = { ...model('hog-tiny'), preprocess: preprocess! };
    const opening = openActivity({ workload: classify, model: subject, params: { dataset: 'shapes' } });
    await expect(opening).rejects.toThrow(/features want \[1,3,64,64\]/);
  });
});

describe('data that does not fit', () => {
  it('says that preprocessing and graph disagree', async () => {
    const { preprocess } = model('vit-tiny');
    const wrong = {
      ...model('resnet-tiny'),
      preprocess: { ...preprocess!, resize: { height: 8, width: 9 } },
    };
    const subject = { ...foreign('onnx-vit'), preprocess: wrong.preprocess };
    const opening = openActivity({ workload: classify, model: subject, params: { dataset: 'shapes' } });
    await expect(opening).rejects.toThrow(/preprocessing yields/);
  });

  it('says that a split does not exist', async () => {
    const params = { dataset: 'shapes', split: 'dev' };
    const opening = openActivity({ workload: classify, model: model('resnet-tiny'), params });
    await expect(opening).rejects.toThrow(/no split "dev"/);
  });
});

describe('decode', () => {
  it('reads other files in each repetition and counts images', async () => {
    const activity = await openActivity({
      ...{ workload: decode, model: model('vit-tiny'), batch: 4 },
      params: { dataset: 'shapes' },
    });
    expect(await repeat(activity)).toEqual([{ phase: 'preprocess', items: 4 }]);
    expect((await activity.outputs()).images!.shape).toEqual([4, 3, 64, 64]);
    const images = async (repetition: number) => {
      for await (const step of activity.steps(repetition)) {
        return ((await step.run()) as { samples: { id: string }[] }).samples.map((s) => s.id);
      }
      return [];
    };
    expect(await images(0)).not.toEqual(await images(1));
    expect(await images(0)).toEqual(await images(0));
  });

  it('wants a preprocessing', async () => {
    const params = { dataset: 'shapes' };
    const opening = openActivity({ workload: decode, model: foreign('onnx-vit'), params });
    await expect(opening).rejects.toThrow(/has no preprocess/);
  });
});
