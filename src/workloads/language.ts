import type { Residents } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import type { Run } from '../core/positions.ts';
import type { Tensor, Tensors } from '../core/tensor.ts';
import type { Job, Metric, Step } from '../core/workload.ts';
import { graphMacs } from './cost.ts';
import type { Cache } from './decoder.ts';
import {
  advance,
  decoderFeeds,
  dimsOfCall,
  emptyCache,
  greedy,
  idsFor,
  lastLogits,
  onlyOutput,
} from './decoder.ts';
import { encoderDecoderMacs, openEncoderDecoder } from './encoder-decoder.ts';
import { openCached, release } from './kept.ts';
import { imagePositions, positionShift } from './positions.ts';

/**
 * A language model as sessions run it: `model` alone; `embed` and then `decoder` (vision-language models); or `embed`,
 * `encoder` and `decoder`, where the first call reads the prompt and makes the first token.
 */
export interface Language {
  /** For a prompt with an image, which moves the positions of what comes behind it. */
  emptyCache(batch: number, image?: Insertion): Cache;
  /** The cache after a call with `sequence` ids per text. */
  advance(cache: Cache, kept: Residents, sequence: number): Cache;
  /**
   * Makes everything ready for one call and returns what is to be timed: the sessions' runs and nothing else. `ids` are
   * [batch, sequence] row by row; `image` is what the prompt shows.
   */
  prepare(ids: readonly number[], batch: number, cache: Cache, image?: Insertion): () => Promise<Outputs>;
  close(): Promise<void>;
}

/** Results of a call: the logits on the host, keys and values where they were computed. */
export interface Outputs {
  readonly host: Tensors;
  readonly kept: Residents;
}

/** What an image changes in a prompt. */
export interface Insertion {
  /** Embedded tokens are replaced by image features. */
  splice(embeds: Tensor): Tensor;
  /** The prompt of every sequence as text and images, for decoders with several position axes. */
  readonly runs: readonly Run[];
}

/** Names of the graphs that text runs through, in order, and of the one that images run through; null for what isn't there. */
export async function languageGraphs(
  model: ModelDef,
): Promise<{ tokens: string; encoder: string | null; decoder: string; vision: string | null }> {
  const names = Object.keys(await model.build(model.config));
  const optional = (name: string) => (names.includes(name) ? name : null);
  const [vision, encoder] = [optional('vision'), optional('encoder')];
  if (names.includes('embed') && names.includes('decoder')) {
    return { tokens: 'embed', encoder, decoder: 'decoder', vision };
  }
  if (names.includes('model')) return { tokens: 'model', encoder: null, decoder: 'model', vision };
  throw new VersusError('unsupported', `${model.name} is no language model`, {
    where: `graphs ${names.join(', ')}`,
    next: 'it needs a graph `model`, or `embed` and `decoder`',
  });
}

export async function openLanguage(job: Job<unknown>): Promise<Language> {
  const names = await languageGraphs(job.model);
  if (names.encoder !== null) return openEncoderDecoder(job);
  const decoder = await openCached(job, names.decoder);
  const embed = names.tokens === names.decoder ? null : await job.open(names.tokens);
  const dims = job.model.dims ?? {};
  return {
    emptyCache: (batch, image) => ({
      ...emptyCache(decoder, batch, dims),
      shift: image ? positionShift(decoder, image.runs) : 0,
    }),
    advance,
    prepare(ids, batch, cache, image) {
      const call = { batch, sequence: ids.length / batch };
      if (!embed) {
        const feeds = decoderFeeds(decoder, cache, call, { input_ids: idsFor(decoder, batch, ids) }, dims);
        return () => decoder.run(feeds);
      }
      const tokens = { input_ids: idsFor(embed, batch, ids) };
      const rest = decoderFeeds(
        decoder,
        cache,
        call,
        image ? imagePositions(decoder, image.runs, call) : {},
        dims,
      );
      return async () => {
        const embeds = onlyOutput(embed, await embed.run(tokens));
        return decoder.run({ ...rest, inputs_embeds: image ? image.splice(embeds) : embeds });
      };
    },
    async close() {
      await embed?.close();
      await decoder.close();
    },
  };
}

/** One prompt through prefill and greedy decoding: `newTokens` in all, the first of them by the prefill. */
export async function* generateSteps(
  language: Language,
  prompt: readonly number[],
  batch: number,
  newTokens: number,
  image?: Insertion,
): AsyncGenerator<Step, void> {
  let cache = language.emptyCache(batch, image);
  let ids: readonly number[] = prompt;
  let outputs: Outputs = { host: {}, kept: {} };
  try {
    for (let made = 0; made < newTokens; made++) {
      const call = language.prepare(ids, batch, cache, made === 0 ? image : undefined);
      yield {
        phase: made === 0 ? 'prefill' : 'decode',
        items: ids.length,
        run: async () => {
          outputs = await call();
        },
      };
      cache = next(language, cache, outputs, ids.length / batch);
      ids = greedy(lastLogits(outputs.host));
    }
  } finally {
    // Whoever stops early leaves a cache and perhaps a call's results: all of it goes.
    release(cache.tensors);
    release(outputs.kept);
  }
}

/** The cache after a call; what it no longer holds is freed. */
function next(language: Language, cache: Cache, { kept }: Outputs, sequence: number): Cache {
  const after = language.advance(cache, kept, sequence);
  release(cache.tensors, after.tensors);
  release(kept, after.tensors);
  return after;
}

/**
 * Logits behind the prompt and behind two more tokens that are given, not chosen: a near tie must not send two backends
 * down different texts. The later two read the cache, so its contents are compared too.
 */
export async function forcedLogits(
  language: Language,
  prompt: readonly number[],
  batch: number,
  image?: Insertion,
): Promise<Tensors> {
  const out: Tensors = {};
  let cache = language.emptyCache(batch, image);
  let ids: readonly number[] = prompt;
  for (const name of ['prefill', 'decode.1', 'decode.2']) {
    const outputs = await language.prepare(ids, batch, cache, name === 'prefill' ? image : undefined)();
    out[`${name}.logits`] = lastLogits(outputs.host);
    cache = next(language, cache, outputs, ids.length / batch);
    ids = Array.from({ length: batch }, (_, b) => prompt[(b * prompt.length) / batch]!);
  }
  release(cache.tensors);
  return out;
}

/** Multiply–accumulates of prefill and all decode steps; those of a step grow linearly with the cache. */
export async function languageMacs(
  model: ModelDef,
  batch: number,
  promptTokens: number,
  newTokens: number,
): Promise<number | null> {
  const { tokens, encoder, decoder } = await languageGraphs(model);
  if (encoder !== null) return encoderDecoderMacs(model, batch, promptTokens, newTokens);
  const at = async (sequence: number, past: number): Promise<number | null> => {
    let sum = 0;
    for (const name of new Set([tokens, decoder])) {
      const macs = await graphMacs(model, name, (graph) =>
        dimsOfCall(graph, { batch, sequence, past }, model.dims),
      );
      if (macs === null) return null;
      sum += macs;
    }
    return sum;
  };
  const prefill = await at(promptTokens, 0);
  const steps = newTokens - 1;
  if (steps === 0 || prefill === null) return prefill;
  const first = await at(1, promptTokens);
  const last = await at(1, promptTokens + steps - 1);
  return first === null || last === null ? null : prefill + ((first + last) / 2) * steps;
}

const timing = (
  name: string,
  unit: string,
  better: Metric['better'],
  of: Metric['of'],
  phases: readonly string[],
): Metric => ({ name, unit, better, assume: 'nothing', of, phases });

/** Time to first token counts the phases before the first token; sampling and tokenising are outside. */
export const languageMetrics = (before: readonly string[] = []): readonly Metric[] => [
  timing('ttft', 'ms', 'lower', 'duration', [...before, 'prefill']),
  timing('tpot', 'ms', 'lower', 'step', ['decode']),
  timing('prefill_rate', 'tokens/s', 'higher', 'rate', ['prefill']),
  timing('decode_rate', 'tokens/s', 'higher', 'rate', ['decode']),
];
