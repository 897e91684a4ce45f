import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { loadTiled } from '../data/tiling.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Example } from './examples.ts';
import type { Sizes } from './forward/index.ts';

/** A longer text is cut where nothing says otherwise: attention costs its square. */
const LONGEST = 512;

export interface Reading {
  /** For models that read text. */
  readonly tokenizer?: Tokenizer;
  /** Text ahead of the image. */
  readonly before?: string;
  /** Tokens of a text, where they are not to follow from the examples. */
  readonly sequence?: number;
}

/**
 * The sizes of a batch that holds any of the examples: texts as long as the longest, images cut into as many pieces as the
 * first (all have to be of one size).
 *
 * @param graphs names of the model's graphs
 * @throws VersusError `usage` without a tokenizer, or for a length that cuts answers
 */
export async function sizesOf(
  model: ModelDef,
  graphs: readonly string[],
  examples: readonly Example[],
  { tokenizer, before, sequence }: Reading,
): Promise<Omit<Sizes, 'batch'>> {
  if (model.task === 'classify') return {};
  if (!tokenizer) {
    throw new VersusError('usage', 'a model that reads text trains with a tokenizer', { where: model.name });
  }
  if (model.task === 'embed') {
    const context = sequence ?? model.text?.context ?? model.dims?.sequence;
    return context === undefined ? {} : { sequence: context };
  }
  const tokens = (text: string | undefined, special = false): number =>
    text === undefined || text === '' ? 0 : tokenizer.encode(text, { special }).length;
  const end = tokenizer.end === null ? 0 : 1;
  const longest = (of: (example: Example) => number): number =>
    examples.reduce((most, example) => Math.max(most, of(example)), 1);
  const grid = await gridOf(model, examples[0]);
  if (graphs.includes('encoder')) {
    const prompt = longest((e) => tokens(e.prompt, true));
    return { prompt, sequence: sequence ?? longest((e) => tokens(e.text) + end), ...grid };
  }
  const ahead = before === undefined ? 0 : tokens(before);
  const most = longest((e) => ahead + tokens(e.prompt) + tokens(e.text) + end);
  const asks = examples.some((e) => e.prompt !== undefined);
  if (asks && sequence !== undefined && sequence < most) {
    throw new VersusError('usage', `a prompt and its answer are ${most} tokens long`, {
      where: `${model.name}, trained on texts of ${sequence}`,
      next: `give a --sequence of at least ${most}: an answer is not cut`,
    });
  }
  const whole = asks ? most : Math.min(most, LONGEST);
  return { sequence: sequence ?? whole, ...(before !== undefined && { before: ahead }), ...grid };
}

/** Rows and columns of what an image of any size is cut into. */
async function gridOf({ tiling }: ModelDef, example: Example | undefined): Promise<Pick<Sizes, 'grid'>> {
  if (!tiling || !example?.sample) return {};
  const made = await loadTiled([example.sample], tiling);
  if (tiling.kind === 'crops') {
    const [, rows, columns] = made.crops!.shape as [number, number, number];
    return { grid: [rows, columns] };
  }
  const places = made.patch_positions!;
  const last = Array.from(places.data, Number).slice(-2) as [number, number];
  return { grid: [(last[0] + 1) / tiling.merge, (last[1] + 1) / tiling.merge] };
}
