import type { Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { random, seedOf } from '../core/random.ts';
import { int64, type Tensor, type Tensors } from '../core/tensor.ts';
import { extractFeatures } from '../data/features.ts';
import { eachSample } from '../data/loader.ts';
import { preprocessImage, stackImages } from '../data/preprocess.ts';
import { imageOf } from '../data/samples.ts';
import { loadTiled } from '../data/tiling.ts';
import { padTo, type Tokenizer } from '../data/tokenizer.ts';
import type { Example } from './examples.ts';
import { type Forward, IGNORED } from './forward/index.ts';

export interface BatchOptions {
  /** Of the order; every pass over the examples has an order of its own. 0 when left out. */
  readonly seed?: number;
  /** For models that read text. */
  readonly tokenizer?: Tokenizer;
  /** Text ahead of the image; as many tokens as the forward graph was built for (`before`). None when left out. */
  readonly before?: string;
  /** Preprocessed images that are kept for the next pass; 256 MiB when left out. */
  readonly cacheBytes?: number;
  /** Where they are kept, by sample, so that several trainings of one model decode an image once; a place of its own when left out. */
  readonly kept?: Map<string, Tensor>;
}

const CACHE_BYTES = 256 * 2 ** 20;

/**
 * Examples as batches for a forward graph. Which examples a batch holds depends on seed and step alone, so that a resumed
 * training goes on with the batch that it stopped before. A pass ends where no whole batch is left; an example that it leaves
 * out is in another one.
 */
export class Batches {
  readonly size: number;
  readonly #model: ModelDef;
  readonly #inputs: Forward['inputs'];
  readonly #examples: readonly Example[];
  readonly #options: BatchOptions;
  readonly #kept: Map<string, Tensor>;
  #pass = -1;
  #order: readonly Example[] = [];

  /** @throws VersusError `usage` for fewer examples than a batch holds */
  constructor(
    model: ModelDef,
    forward: Pick<Forward, 'inputs'>,
    examples: readonly Example[],
    options: BatchOptions = {},
  ) {
    this.size = Number(forward.inputs[0]!.shape[0]);
    this.#model = model;
    this.#inputs = forward.inputs;
    this.#examples = examples;
    this.#options = options;
    this.#kept = options.kept ?? new Map();
    if (examples.length >= this.size) return;
    throw new VersusError('usage', `${examples.length} examples don't fill a batch of ${this.size}`, {
      where: model.name,
      next: 'take a smaller batch, or more data',
    });
  }

  /** Batches of one pass over the examples. */
  get perPass(): number {
    return Math.floor(this.#examples.length / this.size);
  }

  /** The examples of a step, counted from 0. */
  examplesAt(step: number): readonly Example[] {
    const pass = Math.floor(step / this.perPass);
    if (pass !== this.#pass) {
      this.#order = random(seedOf(`pass ${pass}`, this.#options.seed ?? 0)).shuffle(this.#examples);
      this.#pass = pass;
    }
    const from = (step % this.perPass) * this.size;
    return this.#order.slice(from, from + this.size);
  }

  /**
   * What a step feeds. Decodes, preprocesses and tokenises: not for the inside of a timed step.
   * @throws VersusError `input` for an image that cannot be decoded, or a prompt with its answer that is too long
   */
  async at(step: number): Promise<Tensors> {
    const examples = this.examplesAt(step);
    const made = { ...(await this.#images(examples)), ...this.#labels(examples), ...this.#texts(examples) };
    return Object.fromEntries(
      this.#inputs.map(({ name }) => {
        const found = made[name];
        if (found) return [name, found];
        throw new VersusError('unsupported', `no examples give an input ${name}`, {
          where: this.#model.name,
        });
      }),
    );
  }

  async #images(examples: readonly Example[]): Promise<Tensors> {
    const { tiling, preprocess, features } = this.#model;
    const samples = examples.flatMap(({ sample }) => (sample ? [sample] : []));
    if (samples.length < examples.length) return {};
    if (tiling) return loadTiled(samples, tiling);
    if (!preprocess) return {};
    const images = stackImages(await eachSample(samples, (sample) => this.#image(sample)));
    return features ? { features: extractFeatures(images, features) } : { pixel_values: images };
  }

  async #image(sample: Sample): Promise<Tensor> {
    const kept = this.#kept.get(sample.id);
    if (kept) return kept;
    const image = await preprocessImage(imageOf(sample), this.#model.preprocess!);
    // A batch stacks its images, so all of them are of one size.
    const bytes = (this.#kept.size + 1) * image.data.byteLength;
    if (bytes <= (this.#options.cacheBytes ?? CACHE_BYTES)) this.#kept.set(sample.id, image);
    return image;
  }

  #labels(examples: readonly Example[]): Tensors {
    const known = (input: string, numbers: readonly (number | undefined)[]): Tensors => {
      const all = numbers.filter((n) => n !== undefined);
      return all.length < numbers.length ? {} : { [input]: int64([all.length], all) };
    };
    return {
      ...known(
        'labels',
        examples.map(({ label }) => label),
      ),
      ...known(
        'teacher_labels',
        examples.map(({ taught }) => taught),
      ),
    };
  }

  #texts(examples: readonly Example[]): Tensors {
    const length = (input: string) => Number(this.#inputs.find((i) => i.name === input)?.shape[1] ?? 0);
    const sequence = length('input_ids');
    if (sequence === 0) return {};
    if (length('decoder_input_ids') > 0) return this.#exchanges(examples, sequence, length('labels'));
    return length('labels') > 0 ? this.#continued(examples, sequence) : this.#whole(examples, sequence);
  }

  /** Texts as a text tower reads them: one row each, with what the tokenizer puts around it. */
  #whole(examples: readonly Example[], length: number): Tensors {
    const tokenizer = this.#tokenizer();
    const pad = this.#model.text?.pad ?? tokenizer.pad;
    const rows = examples.map(
      ({ text = '' }) => padTo(tokenizer.encode(text, { special: true }), length, pad).ids,
    );
    return { input_ids: int64([rows.length, length], rows.flat()) };
  }

  /** Prompt and text in one row; what is learnt is the text and that it ends there. */
  #continued(examples: readonly Example[], length: number): Tensors {
    const tokenizer = this.#tokenizer();
    const before = this.#options.before ? tokenizer.encode(this.#options.before) : [];
    const rows = examples.map(({ prompt, text = '' }) => {
      const given = [...before, ...(prompt === undefined ? [] : tokenizer.encode(prompt))];
      return this.#row(given, this.#ended(text), length);
    });
    const padded = rows.map((row) => filled(row.ids, length, tokenizer.pad));
    const labels = rows.map(({ ids, given }) =>
      filled(
        ids.map((id, i) => (i < given ? IGNORED : id)),
        length,
        IGNORED,
      ),
    );
    return {
      input_ids: int64([rows.length, length], padded.flat()),
      labels: int64([rows.length, length], labels.flat()),
    };
  }

  /** Prompts for an encoder, texts for its decoder, which reads each a token late. */
  #exchanges(examples: readonly Example[], prompt: number, length: number): Tensors {
    const tokenizer = this.#tokenizer();
    const start = this.#model.decoderStart ?? 2;
    const asked = examples.map(
      (e) => padTo(tokenizer.encode(e.prompt ?? '', { special: true }), prompt, tokenizer.pad).ids,
    );
    const answers = examples.map((e) => this.#row([], this.#ended(e.text ?? ''), length).ids);
    const begun = answers.map((ids) => filled([start, ...ids].slice(0, length), length, tokenizer.pad));
    return {
      input_ids: int64([asked.length, prompt], asked.flat()),
      decoder_input_ids: int64([begun.length, length], begun.flat()),
      labels: int64(
        [answers.length, length],
        answers.flatMap((ids) => filled(ids, length, IGNORED)),
      ),
    };
  }

  #ended(text: string): number[] {
    const tokenizer = this.#tokenizer();
    return [...tokenizer.encode(text), ...(tokenizer.end === null ? [] : [tokenizer.end])];
  }

  /** A text that is too long is cut, unless it answers something. */
  #row(
    given: readonly number[],
    learnt: readonly number[],
    length: number,
  ): { ids: number[]; given: number } {
    const ids = [...given, ...learnt];
    if (given.length > 0 && ids.length > length) {
      throw new VersusError('input', `a prompt and its answer are ${ids.length} tokens long`, {
        where: `${this.#model.name}, trained on texts of ${length}`,
        next: `train on longer texts (sequence), or leave it out: ${this.#tokenizer().decode(ids).slice(0, 200)}`,
      });
    }
    return { ids: ids.slice(0, length), given: given.length };
  }

  #tokenizer(): Tokenizer {
    if (this.#options.tokenizer) return this.#options.tokenizer;
    throw new VersusError('usage', 'a model that reads text trains with a tokenizer', {
      where: this.#model.name,
    });
  }
}

const filled = (ids: readonly number[], length: number, by: number): number[] =>
  Array.from({ length }, (_, i) => ids[i] ?? by);
