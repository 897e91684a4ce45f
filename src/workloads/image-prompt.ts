import type { Session } from '../core/backend.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import type { Run } from '../core/positions.ts';
import type { Tensor, Tensors } from '../core/tensor.ts';
import type { Metric, Workload } from '../core/workload.ts';
import { asked, BEFORE_IMAGE } from '../data/chat.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { inferShapes } from '../graph/infer.ts';
import { checkContext } from './context.ts';
import { graphMacs, graphOf } from './cost.ts';
import { onlyOutput } from './decoder.ts';
import { checkLengths } from './generate.ts';
import { scoredSplits, scoresOf, UNSEEN_ANSWERS } from './image-answers.ts';
import { type ImageParams, imageRun, imageSource, visionDims } from './image-source.ts';
import type { Dims } from './inputs.ts';
import {
  forcedLogits,
  generateSteps,
  type Insertion,
  languageGraphs,
  languageMacs,
  languageMetrics,
  openLanguage,
} from './language.ts';
import { spliceFeatures } from './splice.ts';
import { exactly, tokenizerOf } from './text.ts';
import { ANSWERS } from './told.ts';

export interface ImagePromptParams extends ImageParams {
  /** Tokens of the question, per sequence; the image and `USER: ` come before it. */
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly question?: string;
  readonly tokenizer?: string;
  /**
   * Images, from the start of the split, whose questions quality is scored on where the weights are trained, one question
   * of each in turn; 100 when left out.
   */
  readonly samples?: number;
  /** A split whose kinds training never showed: its answers are reported beside those of `split`. */
  readonly unseen?: string;
}

const part = (phase: string): Metric => ({
  name: phase,
  unit: 'ms',
  better: 'lower',
  assume: 'nothing',
  of: 'duration',
  phases: [phase],
});

/** Tokens before and after the image, as LLaVA asks. An encoder reads the image itself first, as Florence-2's does. */
async function promptAround(
  tokenizer: Tokenizer,
  params: ImagePromptParams,
  model: ModelDef,
): Promise<{ before: readonly number[]; after: readonly number[] }> {
  const { encoder } = await languageGraphs(model);
  const question = params.question ?? asked('What is shown, and in which colour?');
  return {
    before: encoder === null ? tokenizer.encode(BEFORE_IMAGE) : [],
    after: exactly(tokenizer.encode(question), params.promptTokens),
  };
}

/** Rows that the tower hands on per image, by shape inference; null where they depend on the pixels. */
function inferredRows(graph: Graph, dims: Dims, batch: number): number | null {
  const shape = inferShapes(graph, dims).outputs[0]?.shape ?? [];
  const rows = shape.length === 3 ? shape[1] : shape[0];
  if (typeof rows !== 'number') return null;
  return shape.length === 3 ? rows : rows / batch;
}

/** Image tokens per image, by running the tower once: the one way that holds for every model. */
async function imageTokens(vision: Session, feeds: Tensors, batch: number): Promise<number> {
  const { shape } = onlyOutput(vision, await vision.run(feeds));
  return shape.length === 3 ? shape[1]! : shape[0]! / batch;
}

/**
 * One image and a question through a vision-language model, its phases apart: `preprocess` (decode a real file, resize,
 * cut, normalise), `vision` (tower and projector), `prefill` (embedding, features put in place, decoder), `decode`.
 */
export const imagePrompt: Workload<ImagePromptParams> = {
  name: 'image-prompt',
  metrics: [
    part('preprocess'),
    part('vision'),
    part('prefill'),
    ...languageMetrics(['preprocess', 'vision']),
    ANSWERS,
    UNSEEN_ANSWERS,
  ],

  /** Null where tiles are cut from a dataset's images: how many is known only with the images. */
  async macs(params, batch, model) {
    const graph = await graphOf(model, 'vision');
    const dims = visionDims(params, batch, model, graph);
    const rows = dims && inferredRows(graph, dims, batch);
    const vision = dims && (await graphMacs(model, 'vision', () => dims));
    if (rows === null || vision === null) return null;
    const tokenizer = await tokenizerOf(model, 'embed', params.tokenizer);
    const { before, after } = await promptAround(tokenizer, params, model);
    const text = await languageMacs(model, batch, before.length + rows + after.length, params.newTokens);
    return text === null ? null : vision + text;
  },

  async open(job) {
    const { params, batch, model } = job;
    checkLengths(params);
    const vision = await job.open('vision');
    const images = await imageSource(job, vision);
    const language = await openLanguage(job);
    const tokenizer = await tokenizerOf(model, 'embed', params.tokenizer);
    const rows = await imageTokens(vision, images.first, batch);
    const { before, after } = await promptAround(tokenizer, params, model);
    checkContext(model, { ...params, imageTokens: before.length + rows });
    const sequence = [...before, ...new Array<number>(rows).fill(0), ...after];
    const prompt = Array.from({ length: batch }, () => sequence).flat();
    const runs: readonly Run[] = [
      { text: before.length },
      imageRun(model.tiling, images.first, rows),
      { text: after.length },
    ];
    const scored = job.trained && images.of ? await scoredSplits(job) : null;
    const showing = (features: () => Tensor): Insertion => ({
      splice: (embeds) => spliceFeatures(embeds, features(), before.length),
      runs,
    });

    return {
      async *steps(repetition) {
        let feeds = images.first;
        const { load } = images;
        if (load) {
          yield {
            phase: 'preprocess',
            items: batch,
            run: async () => {
              feeds = await load(repetition);
            },
          };
        }
        let features: Tensor | undefined;
        yield {
          phase: 'vision',
          items: batch,
          run: async () => {
            features = onlyOutput(vision, await vision.run(feeds));
          },
        };
        const image = showing(() => features!);
        yield* generateSteps(language, prompt, batch, params.newTokens, image);
      },
      async outputs() {
        const features = onlyOutput(vision, await vision.run(images.first));
        const image = showing(() => features);
        return { image_features: features, ...(await forcedLogits(language, prompt, batch, image)) };
      },
      ...(scored && {
        scores: () =>
          scoresOf({ vision, language, load: images.of!, model, tokenizer, before, batch }, scored),
      }),
      async close() {
        await vision.close();
        await language.close();
      },
    };
  },
};
