import type { Tensor, Tensors } from '../core/tensor.ts';
import { CachedDecoder, type Places } from './cached-decoder.ts';
import { idsOf, type Recorded } from './recorded.ts';
import type { Sessions } from './sessions.ts';
import { exceptPadding, joined, nextIds, span } from './tokens.ts';

/**
 * What references record of a language model. `<prefix>logits` and `<prefix>present.*` for every `<prefix>input_ids`
 * (`padded_`: not where the mask is 0); the prompt again in two parts, at once and then token by token, with the cache after each; greedy tokens.
 */
export async function languageOutputs(sessions: Sessions, recorded: Recorded): Promise<Tensors> {
  const outputs: Tensors = {};
  for (const name of Object.keys(recorded.inputs)) {
    const prefix = /^(.*)input_ids$/.exec(name)?.[1];
    if (prefix !== undefined) Object.assign(outputs, await wholePrompt(sessions, recorded, prefix));
  }
  if (!recorded.inputs.input_ids) return outputs;
  const ids = idsOf(recorded, 'input_ids');
  const mask = recorded.inputs.attention_mask && idsOf(recorded, 'attention_mask');
  Object.assign(outputs, await inTwoParts(sessions, recorded, ids, mask));
  for (const [name, prompt] of [['greedy_ids', ids.shape[1]!] as const, ['greedy_new_ids', 0] as const]) {
    const wanted = (recorded.expected[name]?.shape[1] ?? 0) - prompt;
    if (wanted <= 0) continue;
    const decoder = new CachedDecoder(sessions, 'model', 'input_ids');
    const { ids: fresh } = await greedy(decoder, ids, wanted, { mask }, (next) => Promise.resolve(next));
    outputs[name] = prompt > 0 ? joined([ids, fresh]) : fresh;
  }
  return outputs;
}

/** Logits of every position, and the cache behind them. */
async function wholePrompt(sessions: Sessions, recorded: Recorded, prefix: string): Promise<Tensors> {
  const optional = (name: string) =>
    recorded.inputs[prefix + name] ? idsOf(recorded, prefix + name) : undefined;
  const mask = optional('attention_mask');
  const decoder = new CachedDecoder(sessions, 'model', 'input_ids');
  const logits = await decoder.step(idsOf(recorded, `${prefix}input_ids`), {
    mask,
    positions: optional('position_ids'),
  });
  const name = `${prefix}logits`;
  const cache = Object.entries(decoder.cache('present.')).map(([key, t]) => [prefix + key, t] as const);
  return {
    [name]: mask ? exceptPadding(logits, mask, recorded.expected[name]) : logits,
    ...Object.fromEntries(cache),
  };
}

/** The first part's length is that of the cache which the reference recorded behind it; all, when nothing tells. */
async function inTwoParts(
  sessions: Sessions,
  recorded: Recorded,
  ids: Tensor,
  mask: Tensor | undefined,
): Promise<Tensors> {
  const { expected } = recorded;
  const positions = recorded.inputs.position_ids && idsOf(recorded, 'position_ids');
  const places = (from: number, to: number) => ({
    mask: mask && span(mask, 0, to),
    positions: positions && span(positions, from, to),
  });
  const length = ids.shape[1]!;
  const first =
    expected['past_key_values.0.key']?.shape[2] ??
    expected.prefill_logits?.shape[1] ??
    length - (expected.decode_logits?.shape[1] ?? 0);
  if (first < 1 || first > length) return {};
  const decoder = new CachedDecoder(sessions, 'model', 'input_ids');
  const outputs: Tensors = { prefill_logits: await decoder.step(span(ids, 0, first), places(0, first)) };
  Object.assign(outputs, decoder.cache('past_key_values.'));
  const rest: Tensor[] = [];
  for (let at = first; at < length; at++) {
    rest.push(await decoder.step(span(ids, at, at + 1), places(at, at + 1)));
  }
  if (rest.length > 0) outputs.decode_logits = joined(rest);
  return { ...outputs, ...decoder.cache('present.') };
}

/**
 * The most likely token, fed back, again and again.
 * @param places of the prompt
 * @param toInput turns ids into what the decoder takes
 * @returns the new ids, and the logits of the step that fed each but the last
 */
export async function greedy(
  decoder: CachedDecoder,
  prompt: Tensor,
  count: number,
  places: Places,
  toInput: (ids: Tensor) => Promise<Tensor>,
): Promise<{ ids: Tensor; logits: Tensor[] }> {
  const fresh = [nextIds(await decoder.step(prompt, places))];
  const logits: Tensor[] = [];
  while (fresh.length < count) {
    logits.push(await decoder.step(await toInput(fresh.at(-1)!)));
    fresh.push(nextIds(logits.at(-1)!));
  }
  return { ids: joined(fresh), logits };
}
