import { COLOUR_NAMES, SHAPES } from '../../datasets/shapes/scene.ts';
import stories from '../../datasets/stories/index.ts';

/** Words of shapes' captions and questions, of the prompts that suites use, and of how a question is put. */
const SAID =
  'a an the photo drawing of image describe user assistant what which where is in at on or small medium large top ' +
  'middle bottom left right centre plain shaded striped checked background shape colour yes no and shown';

/** Ends a text; the last id, as in CLIP's own vocabulary. */
export const END = '<|end|>';
const PAD = '<|pad|>';
const START = '<|start|>';
const IMAGE = '<image>';
const UNKNOWN = '<|unknown|>';

/** What is in no text of ours falls apart into letters. */
const LETTERS = Array.from('abcdefghijklmnopqrstuvwxyz0123456789');
const MARKS = Array.from('.,:;?!\'"()-+=');

/** All words that the checkpoints know, in the order of their ids. */
export async function vocabulary(root: string): Promise<readonly string[]> {
  const told = await (await stories.prepare(root)).samples('train');
  const words = new Set([...SHAPES, ...COLOUR_NAMES, ...SAID.split(' ')]);
  for (const { text = '' } of told) for (const [word] of text.matchAll(/[a-z]+|\d+/g)) words.add(word);
  for (const letter of LETTERS) words.delete(letter);
  const pieces = [...MARKS, ...LETTERS, ...LETTERS.map((l) => `##${l}`), ...[...words].sort()];
  return [PAD, UNKNOWN, START, IMAGE, ...pieces, END];
}

/**
 * `tokenizer.json` and `tokenizer_config.json`: whole words, lower case, by Hugging Face's WordPiece; a text that asks for
 * special tokens begins with the start and ends with the end.
 */
export function tokenizerFiles(words: readonly string[]): Record<string, unknown> {
  const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
  const special = [PAD, UNKNOWN, START, IMAGE, END];
  const about = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const token = (content: string) => ({ SpecialToken: { id: content, type_id: 0 } });
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } });
  return {
    'tokenizer.json': {
      ...{ version: '1.0', truncation: null, padding: null },
      added_tokens: special.map((content) => ({ id: vocab[content], content, ...about })),
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: {
        type: 'TemplateProcessing',
        single: [token(START), text('A'), token(END)],
        pair: [token(START), text('A'), text('B'), token(END)],
        special_tokens: Object.fromEntries(
          [START, END].map((t) => [t, { id: t, ids: [vocab[t]], tokens: [t] }]),
        ),
      },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        ...{ type: 'WordPiece', unk_token: UNKNOWN, continuing_subword_prefix: '##' },
        ...{ max_input_chars_per_word: 100, vocab },
      },
    },
    'tokenizer_config.json': {
      tokenizer_class: 'PreTrainedTokenizerFast',
      ...{ bos_token: START, eos_token: END, pad_token: PAD, unk_token: UNKNOWN },
    },
  };
}
