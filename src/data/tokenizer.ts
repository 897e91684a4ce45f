import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import { reasonOf, VersusError } from '../core/errors.ts';

/** Text to token ids. Ids are always in [0, vocabulary). */
export interface Tokenizer {
  readonly label: string;
  /** Ids of a text; `special` adds what the model expects around it (BOS, EOS). */
  encode(text: string, options?: { readonly special?: boolean }): number[];
  decode(ids: readonly number[]): string;
  /** What fills a text up to a fixed length. */
  readonly pad: number;
  /** What a model says when it has said all; null where nothing does. */
  readonly end: number | null;
}

/** Longest text that is tokenised. Published patterns are linear, but one from outside may backtrack. */
const MAX_TEXT = 2 ** 16;
/** The largest published tokenizer.json have 256,000 entries and 35 MB. */
const MAX_FILE = 128 * 2 ** 20;

/**
 * UTF-8 bytes as ids, for models whose weights are seeded or whose tokenizer isn't at hand: byte b is id
 * b mod (vocabulary − 2), BOS and EOS are the last two ids (where CLIP has them, so its pooling at the largest id finds
 * the end). No text is out of vocabulary. A text has *more* tokens than with a byte-pair encoding: about one per
 * character where English has one per four; workloads therefore fix the number of tokens, not the text.
 *
 * @throws VersusError `input` for a vocabulary below 3.
 */
export function byteTokenizer(vocabulary: number): Tokenizer {
  if (!Number.isInteger(vocabulary) || vocabulary < 3) {
    throw new VersusError('input', `a vocabulary of ${vocabulary} has no room for text, BOS and EOS`);
  }
  const bytes = vocabulary - 2;
  const [bos, eos] = [vocabulary - 2, vocabulary - 1];
  return {
    label: `bytes(${vocabulary})`,
    encode(text, { special = false } = {}) {
      checkLength(text);
      const ids = Array.from(new TextEncoder().encode(text), (b) => b % bytes);
      return special ? [bos, ...ids, eos] : ids;
    },
    decode: (ids) => new TextDecoder().decode(Uint8Array.from(ids.filter((id) => id < Math.min(256, bytes)))),
    pad: eos,
    end: eos,
  };
}

/**
 * A model's own tokenizer: a Hugging Face `tokenizer.json`, or the folder that holds it; `tokenizer_config.json` beside it
 * is read when there is one.
 *
 * @param vocabulary number of ids that the model embeds
 * @throws VersusError `input`: missing, too large, not JSON, not a tokenizer; while encoding: an id that the model doesn't have.
 */
export async function openTokenizer(file: string, vocabulary: number): Promise<Tokenizer> {
  const where = path.extname(file) === '.json' ? file : path.join(file, 'tokenizer.json');
  const json = await readJson(where);
  const config = await readJson(path.join(path.dirname(where), 'tokenizer_config.json'), true);
  const inner = construct(json, config, where);
  const idOf = (token: unknown): number | undefined => {
    const text = tokenOf(token);
    const id = text === undefined ? undefined : inner.token_to_id(text);
    return id === undefined || id >= vocabulary ? undefined : id;
  };
  const end = idOf(config.eos_token);
  return {
    label: `tokenizer(${where})`,
    encode(text, { special = false } = {}) {
      checkLength(text);
      const { ids } = attempt(where, () => inner.encode(text, { add_special_tokens: special }));
      const stray = (ids as number[]).find((id) => !Number.isInteger(id) || id < 0 || id >= vocabulary);
      if (stray !== undefined) {
        throw new VersusError('input', `the tokenizer yields id ${stray}, the model embeds ${vocabulary}`, {
          where,
          next: 'use the tokenizer.json of this checkpoint',
        });
      }
      return [...ids];
    },
    decode: (ids) => attempt(where, () => inner.decode([...ids])),
    pad: idOf(config.pad_token) ?? end ?? 0,
    end: end ?? null,
  };
}

/** Ids cut or padded at the end to `length`, the last id (EOS) kept, and the mask of what is text. */
export function padTo(
  ids: readonly number[],
  length: number,
  pad: number,
): { ids: number[]; mask: number[] } {
  const kept = ids.length <= length ? [...ids] : [...ids.slice(0, length - 1), ids.at(-1)!];
  return {
    ids: Array.from({ length }, (_, i) => kept[i] ?? pad),
    mask: Array.from({ length }, (_, i) => (i < kept.length ? 1 : 0)),
  };
}

function checkLength(text: string): void {
  if (text.length <= MAX_TEXT) return;
  throw new VersusError('input', `a text of ${text.length} characters; the limit is ${MAX_TEXT}`, {
    next: 'split it',
  });
}

async function readJson(where: string, optional = false): Promise<Record<string, unknown>> {
  let text: string;
  try {
    const { size } = await stat(where);
    if (size > MAX_FILE) throw new Error(`${size} bytes, more than the limit of ${MAX_FILE}`);
    text = await readFile(where, 'utf8');
  } catch (error) {
    if (optional) return {};
    throw new VersusError('input', `cannot read tokenizer: ${reasonOf(error)}`, {
      where,
      next: 'name a tokenizer.json or the folder that holds one',
      cause: error,
    });
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
    throw new Error('the file holds no JSON object');
  } catch (error) {
    throw malformed(where, error);
  }
}

function construct(
  json: Record<string, unknown>,
  config: Record<string, unknown>,
  where: string,
): HubTokenizer {
  if (typeof json.model !== 'object' || json.model === null) {
    throw malformed(where, new Error('field model is missing'));
  }
  return attempt(where, () => new HubTokenizer(json, config));
}

function attempt<T>(where: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw malformed(where, error);
  }
}

function malformed(where: string, error: unknown): VersusError {
  return new VersusError('input', `not a usable tokenizer: ${reasonOf(error)}`, {
    where,
    next: "take the checkpoint's own file, as Hugging Face tokenizers write it",
    cause: error,
  });
}

/** Special tokens stand as text or as `{ content }`. */
function tokenOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : undefined;
}
