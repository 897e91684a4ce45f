import { shapes } from '../../datasets/shapes/index.ts';
import { COLOUR_NAMES, SHAPES } from '../../datasets/shapes/scene.ts';
import stories from '../../datasets/stories/index.ts';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import type { ModelDef } from '../../src/core/model.ts';
import type { Score, Workload } from '../../src/core/workload.ts';
import { wilsonInterval } from '../../src/stats/interval.ts';
import { openArtifact, openArtifactResident, prepareArtifacts } from '../../src/weights/index.ts';
import { classify } from '../../src/workloads/classify.ts';
import { generate } from '../../src/workloads/generate.ts';
import { imagePrompt } from '../../src/workloads/image-prompt.ts';
import { zeroShot } from '../../src/workloads/zero-shot.ts';
import { LARGE, ROOT } from './places.ts';

/** A figure of a card, with its 95% interval. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly n: number;
  readonly lo: number;
  readonly hi: number;
  readonly unit: 'share' | 'ppl';
}

/** A workload with its parameters, and what its scores are called on a card. */
interface Asked {
  // biome-ignore lint/suspicious/noExplicitAny: parameters are of each workload's own type
  readonly workload: Workload<any>;
  readonly params: Readonly<Record<string, unknown>>;
  readonly called: Readonly<Record<string, string>>;
}

const SETS = {
  shapes: shapes({ size: LARGE }),
  pairs: shapes({ size: LARGE, label: 'pair' }),
  stories,
};
const PAIRS = SHAPES.flatMap((shape) => COLOUR_NAMES.map((colour) => `${colour} ${shape}`));

const LENGTHS = { promptTokens: 16, newTokens: 1, samples: 500 };
const TESTED = 'images of split test';
const UNSEEN = 'images of split heldout: pairs of shape and colour that training never showed';

const CLASSES: Asked = {
  workload: classify,
  params: { dataset: 'shapes', unseen: 'heldout' },
  called: { top1: `top-1 of 8 shapes, ${TESTED}`, unseen_top1: `top-1 of 8 shapes, ${UNSEEN}` },
};
const TEXTS = (split: string, about: string): Asked => ({
  workload: generate,
  params: { ...LENGTHS, dataset: 'stories', split },
  called: {
    answers: `answers that are right word for word, ${about}`,
    next_token: `next tokens foreseen, ${about}`,
    perplexity: `perplexity per token, ${about}`,
  },
});

/** What each model is asked: what suites ask, and more of it. */
const ASKED: Readonly<Record<string, readonly Asked[]>> = {
  'shapes-resnet': [CLASSES],
  'shapes-vit': [CLASSES],
  'shapes-clip': [
    {
      workload: zeroShot,
      params: {
        ...{ dataset: 'shapes', unseen: 'heldout', classes: SHAPES },
        templates: ['a photo of a {}.', 'a drawing of a {}.'],
      },
      called: { top1: `zero-shot, 8 shapes, ${TESTED}`, unseen_top1: `zero-shot, 8 shapes, ${UNSEEN}` },
    },
    {
      workload: zeroShot,
      params: { dataset: 'pairs', unseen: 'heldout', classes: PAIRS, templates: ['a photo of a {}.'] },
      called: {
        top1: `zero-shot, 64 pairs of colour and shape, ${TESTED}`,
        unseen_top1: `zero-shot, 64 pairs of colour and shape, ${UNSEEN}`,
      },
    },
  ],
  'shapes-llm': [
    TEXTS('test', 'stories of split test'),
    TEXTS('heldout', 'stories of split heldout: with a pair that training never told of'),
  ],
  'shapes-vlm': [
    {
      workload: imagePrompt,
      params: { ...LENGTHS, dataset: 'shapes', unseen: 'heldout' },
      called: {
        answers: `answers that are right word for word, ${TESTED}`,
        unseen_answers: `answers that are right word for word, ${UNSEEN}`,
      },
    },
    TEXTS('test', 'stories of split test, which shapes-llm had learnt before'),
  ],
};

/** Held-out quality of a checkpoint as it is shipped, in the workloads' own words. */
export async function evaluate(model: ModelDef, cacheDir: string): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { workload, params, called } of ASKED[model.name] ?? []) {
    for (const score of await scoresOf(model, workload, params, cacheDir)) {
      const what = called[score.metric];
      if (what !== undefined) figures.push(figureOf(what, score));
    }
  }
  return figures;
}

async function scoresOf<P>(
  model: ModelDef,
  workload: Workload<P>,
  params: P,
  cacheDir: string,
): Promise<readonly Score[]> {
  const backend = onnxruntime('cpu');
  const artifacts = await prepareArtifacts(model, { cacheDir, maxBytes: 2e9, precision: 'fp32' });
  const options = { precision: 'fp32', threads: 2 } as const;
  const activity = await workload.open({
    ...{ model, params, batch: 1, seed: 0, trained: true },
    open: (name) => openArtifact(backend, artifacts[name]!, options),
    openResident: (name, keep) => openArtifactResident(backend, artifacts[name]!, options, keep),
    dataset: (name) => SETS[name as keyof typeof SETS].prepare(ROOT),
  });
  try {
    return (await activity.scores?.()) ?? [];
  } finally {
    await activity.close();
  }
}

function figureOf(what: string, { value, n, interval }: Score): Figure {
  const { lo, hi } = interval ?? wilsonInterval(Math.round(value * n), n)!;
  return { what, value, n, lo, hi, unit: interval ? 'ppl' : 'share' };
}
