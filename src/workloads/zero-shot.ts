import type { Session } from '../core/backend.ts';
import type { Dataset, Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { Graph, ValueInfo } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { random } from '../core/random.ts';
import type { Tensor, Tensors } from '../core/tensor.ts';
import { allocate, tensor } from '../core/tensor.ts';
import type { Job, Metric, Workload } from '../core/workload.ts';
import { holdBatches } from '../data/loader.ts';
import { padTo } from '../data/tokenizer.ts';
import { asUnseen, labelledOf, scoreAccuracy, UNSEEN } from './accuracy.ts';
import { graphMacs } from './cost.ts';
import { onlyOutput } from './decoder.ts';
import {
  asFloat,
  asInts,
  concrete,
  type Dims,
  drawImages,
  imageDims,
  imageInput,
  inputNamed,
} from './inputs.ts';
import { CLIP_TEMPLATES, classPrompts } from './prompts.ts';
import { ensemble, similarity } from './similarity.ts';
import { tokenizerOf } from './text.ts';

export interface ZeroShotParams {
  /** What to tell apart; the dataset's classes when left out. */
  readonly classes?: readonly string[];
  /** Prompts per class with `{}` for its name; CLIP's seven when left out. */
  readonly templates?: readonly string[];
  readonly dataset?: string;
  /** `test` when left out. */
  readonly split?: string;
  readonly samples?: number;
  /** A split whose kinds training never showed: its top-1 is reported beside that of `split`. */
  readonly unseen?: string;
  readonly tokenizer?: string;
  /** Tokens per prompt where graph and model leave them open: 77, CLIP's context, when left out. */
  readonly contextLength?: number;
  /** Prompts per run of the text encoder: 32 when left out. */
  readonly textBatch?: number;
}

const DEFAULT_CONTEXT = 77;
/** CLIP's learnt temperature ends at its clamp, exp(4.6052) = 100. */
const LOGIT_SCALE = 100;

const ms = (name: string, phases: readonly string[]): Metric => ({
  name,
  unit: 'ms',
  better: 'lower',
  assume: 'nothing',
  of: 'duration',
  phases,
});
const rate = (name: string, unit: string, phase: string): Metric => ({
  name,
  unit,
  better: 'higher',
  assume: 'nothing',
  of: 'rate',
  phases: [phase],
});

/** @throws VersusError `usage` when another length is asked for than the model's text tower can be read at. */
function contextOf(input: ValueInfo, params: ZeroShotParams, model: ModelDef): number {
  const axis = input.shape[1];
  if (typeof axis === 'number') return axis;
  const asked = params.contextLength;
  const wanted = model.text?.context;
  if (asked !== undefined && wanted !== undefined && asked !== wanted) {
    throw new VersusError(
      'usage',
      `contextLength is ${asked}, but the model reads texts of ${wanted} tokens`,
      {
        where: `${model.name}: graph text`,
        next: 'leave contextLength out',
      },
    );
  }
  return wanted ?? asked ?? model.dims?.[axis ?? ''] ?? DEFAULT_CONTEXT;
}

/** Sizes of the text graph's symbolic dimensions for one prompt. */
function textDims(graph: Graph, params: ZeroShotParams, model: ModelDef): Dims {
  const out: Record<string, number> = { ...model.dims };
  for (const input of graph.inputs) {
    [1, contextOf(input, params, model)].forEach((size, axis) => {
      const dim = input.shape[axis];
      if (typeof dim === 'string') out[dim] = size;
    });
  }
  return out;
}

/** What a padded prompt gives an input of a text encoder. @throws VersusError `unsupported` for an input that it cannot give. */
function rowOf(name: string, length: number): (row: ReturnType<typeof padTo>) => readonly number[] {
  if (name === 'input_ids') return (row) => row.ids;
  if (name === 'attention_mask') return (row) => row.mask;
  if (name === 'position_ids') return () => Array.from({ length }, (_, i) => i);
  throw new VersusError('unsupported', `an input of the text encoder that is not understood: ${name}`, {
    next: 'known are input_ids, attention_mask and position_ids',
  });
}

/** Prompts as feeds of the text graph, `textBatch` at a time; the last run is filled up with its own first prompt. */
async function textFeeds(
  job: Job<ZeroShotParams>,
  text: Session,
  prompts: readonly string[],
): Promise<Tensors[]> {
  const { params, model } = job;
  const tokenizer = await tokenizerOf(model, 'text', params.tokenizer);
  const input = inputNamed(text, 'input_ids');
  const length = contextOf(input, params, model);
  const pad = model.text?.pad ?? tokenizer.pad;
  const rows = prompts.map((p) => padTo(tokenizer.encode(p, { special: true }), length, pad));
  const size = Math.min(params.textBatch ?? 32, rows.length);
  const feeds: Tensors[] = [];
  for (let from = 0; from < rows.length; from += size) {
    const part = Array.from({ length: size }, (_, i) => rows[from + i] ?? rows[from]!);
    const feed: Tensors = {};
    for (const { name, dtype } of text.inputs) {
      feed[name] = asInts(dtype, [size, length], part.flatMap(rowOf(name, length)));
    }
    feeds.push(feed);
  }
  return feeds;
}

/** The runs' embeddings as one [prompts, width]. */
function joinRows(parts: readonly Tensor[], count: number): Tensor {
  const width = parts[0]!.shape.at(-1)!;
  const all = allocate(parts[0]!.dtype, parts.length * parts[0]!.data.length);
  parts.forEach((part, i) => {
    all.set(part.data as never, i * parts[0]!.data.length);
  });
  return tensor(parts[0]!.dtype, [count, width], all.slice(0, count * width));
}

async function pixelsOf(
  job: Job<ZeroShotParams>,
  input: ValueInfo,
  dataset: Dataset | null,
): Promise<Tensor> {
  const { model, params, batch, seed } = job;
  const shape = concrete(input, imageDims(input, model, batch));
  if (!dataset || !model.preprocess) return drawImages(input, shape, seed);
  const samples = random(seed).shuffle(await dataset.samples(params.split ?? 'test'));
  const [held] = await holdBatches(samples, model.preprocess, { batch, count: 1, maxBytes: 0 });
  return asFloat(held!.images, input.dtype);
}

function checkNames(classes: readonly string[], templates: readonly string[]): void {
  if (classes.length > 0 && templates.length > 0) return;
  throw new VersusError('usage', 'zero-shot classification needs classes and templates', {
    next: 'give `classes: [...]`, or a `dataset` that has some',
  });
}

/**
 * CLIP as a classifier without training: the text encoder over all classes × templates, the image encoder over a batch, and
 * their similarity. `cached` is what a batch costs once the class embeddings are there, `uncached` with them.
 */
export const zeroShot: Workload<ZeroShotParams> = {
  name: 'zero-shot',
  metrics: [
    ms('image', ['image']),
    ms('text', ['text', 'ensemble']),
    ms('similarity', ['similarity']),
    ms('cached', ['image', 'similarity']),
    ms('uncached', ['text', 'ensemble', 'image', 'similarity']),
    rate('image_throughput', 'images/s', 'image'),
    rate('text_throughput', 'texts/s', 'text'),
    { name: 'top1', unit: 'share', better: 'higher', assume: 'exact', of: 'score' },
    { name: 'top5', unit: 'share', better: 'higher', assume: 'exact', of: 'score' },
    { name: UNSEEN, unit: 'share', better: 'higher', assume: 'exact', of: 'score' },
  ],

  /** Null without `params.classes`: the number of prompts is then known only with the dataset. */
  async macs(params, batch, model) {
    const image = await graphMacs(model, 'vision', (graph) =>
      imageDims(imageInput(graph.inputs), model, batch),
    );
    const text = await graphMacs(model, 'text', (graph) => textDims(graph, params, model));
    if (!params.classes || image === null || text === null) return null;
    return image + text * params.classes.length * (params.templates ?? CLIP_TEMPLATES).length;
  },

  async open(job) {
    const { params, model, batch } = job;
    const dataset = params.dataset === undefined ? null : await job.dataset(params.dataset);
    const classes = params.classes ?? dataset?.manifest.classes ?? [];
    const templates = params.templates ?? CLIP_TEMPLATES;
    checkNames(classes, templates);
    const vision = await job.open('vision');
    const text = await job.open('text');
    const input = imageInput(vision.inputs);
    const pixels = { [input.name]: await pixelsOf(job, input, dataset) };
    const prompts = classPrompts(classes, templates);
    const runs = await textFeeds(job, text, prompts);
    const textItems = prompts.length / runs.length;

    const embedTexts = async (): Promise<Tensor> => {
      const parts: Tensor[] = [];
      for (const feed of runs) parts.push(onlyOutput(text, await text.run(feed)));
      return ensemble(joinRows(parts, prompts.length), templates.length);
    };
    const targetOf = new Map(dataset?.manifest.classes.map((name, i) => [i, classes.indexOf(name)]));
    const scoredOf = async (split: string) =>
      (dataset ? await labelledOf(dataset, split, params.samples) : []).filter(
        (s) => (targetOf.get(s.label!) ?? -1) >= 0,
      );
    const samples = await scoredOf(params.split ?? 'test');
    const unseen = params.unseen === undefined ? [] : await scoredOf(params.unseen);
    const { preprocess } = model;

    return {
      async *steps() {
        const parts: Tensor[] = [];
        for (const feed of runs) {
          yield {
            phase: 'text',
            items: textItems,
            run: async () => {
              parts.push(onlyOutput(text, await text.run(feed)));
            },
          };
        }
        let columns: Tensor | undefined;
        yield {
          phase: 'ensemble',
          items: classes.length,
          run: async () => {
            columns = ensemble(joinRows(parts, prompts.length), templates.length);
          },
        };
        let images: Tensor | undefined;
        yield {
          phase: 'image',
          items: batch,
          run: async () => {
            images = onlyOutput(vision, await vision.run(pixels));
          },
        };
        yield {
          phase: 'similarity',
          items: batch,
          run: async () => similarity(images!, columns!, LOGIT_SCALE),
        };
      },
      // One run of the text encoder at its timed shape says whether it is right; the others only differ in the prompts.
      async outputs() {
        const images = onlyOutput(vision, await vision.run(pixels));
        const texts = onlyOutput(text, await text.run(runs[0]!));
        return { image_embeds: images, text_embeds: texts, logits: similarity(images, texts, 1) };
      },
      ...(job.trained && preprocess && samples.length > 0
        ? {
            async scores() {
              const columns = await embedTexts();
              const logits = async (batchOf: Tensor) => {
                const feed = { [input.name]: asFloat(batchOf, input.dtype) };
                return similarity(onlyOutput(vision, await vision.run(feed)), columns, LOGIT_SCALE);
              };
              const score = (of: readonly Sample[]) =>
                scoreAccuracy(of, preprocess, batch, logits, (s) => targetOf.get(s.label!)!);
              return [...(await score(samples)), ...(unseen.length > 0 ? asUnseen(await score(unseen)) : [])];
            },
          }
        : {}),
      async close() {
        await vision.close();
        await text.close();
      },
    };
  },
};
