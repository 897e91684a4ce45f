import { VersusError } from '../core/errors.ts';
import { int64, type Tensor, type Tensors, tensor, toNumbers } from '../core/tensor.ts';
import type { Florence2Config } from '../zoo/florence2.ts';
import { idsOf, inputOf, type Recorded } from './recorded.ts';
import type { Sessions } from './sessions.ts';
import { filled, joined, nextIds } from './tokens.ts';
import { spliced } from './vision-language.ts';

/**
 * What references record of a model like Florence-2: the tower's grid, the image tokens, what the encoder made of image and
 * prompt, logits for given decoder ids in one pass; and a greedy answer token by token, with the logits of every step and
 * all keys and values behind the last.
 * @param start the token that the greedy answer begins with
 */
export async function encoderDecoderOutputs(
  sessions: Sessions,
  recorded: Recorded,
  config: Florence2Config,
  start: number,
): Promise<Tensors> {
  const { inputs, expected } = recorded;
  const outputs: Tensors = {};
  const features = inputs.pixel_values
    ? await sessions.run('vision', { pixel_values: inputOf(recorded, 'pixel_values', 4) })
    : null;
  Object.assign(outputs, features);
  const source = await sourceOf(sessions, recorded, features?.image_features ?? null, config);
  const encoded = await sessions.run('encoder', source);
  const { last_hidden_state: hidden, ...cross } = encoded;
  Object.assign(outputs, cross);
  outputs.encoder_last_hidden_state = hidden!;

  const decoder = () => new CrossDecoder(sessions, source.attention_mask, cross);
  if (inputs.decoder_input_ids) {
    mustSeeAll(recorded, 'decoder_attention_mask');
    outputs.logits = await decoder().step(idsOf(recorded, 'decoder_input_ids'));
  }
  const steps = Math.max(
    expected.decode_logits?.shape[1] ?? 0,
    (expected.greedy_decoder_ids?.shape[1] ?? 1) - 1,
  );
  if (steps === 0) return outputs;
  const answer = decoder();
  const batch = hidden!.shape[0]!;
  const ids = [int64([batch, 1], new Array<number>(batch).fill(start))];
  const logits: Tensor[] = [];
  while (logits.length < steps) {
    logits.push(await answer.step(ids.at(-1)!));
    ids.push(nextIds(logits.at(-1)!));
  }
  outputs.greedy_decoder_ids = joined(ids);
  outputs.decode_logits = joined(logits);
  for (const [name, t] of Object.entries(answer.cache)) {
    outputs[name.replace(/^past_key_values\./, 'present.')] = t;
  }
  return outputs;
}

/** What the encoder reads: image tokens and the embedded prompt, and the mask over both. */
async function sourceOf(
  sessions: Sessions,
  recorded: Recorded,
  features: Tensor | null,
  { imageToken, text }: Florence2Config,
): Promise<{ inputs_embeds: Tensor; attention_mask: Tensor }> {
  const ids = recorded.inputs.input_ids ? idsOf(recorded, 'input_ids') : null;
  const embeds = ids && (await sessions.run('embed', { input_ids: ids })).inputs_embeds!;
  // Microsoft's code puts the image first and then sees every token, whatever mask it was given.
  if (features && imageToken === null) {
    const all = embeds ? joined([features, embeds]) : features;
    return { inputs_embeds: all, attention_mask: filled(all.shape[0]!, all.shape[1]!, 1) };
  }
  if (!ids || !embeds) throw new VersusError('input', 'io.safetensors lacks input.input_ids');
  const mask = recorded.inputs.attention_mask
    ? idsOf(recorded, 'attention_mask')
    : filled(ids.shape[0]!, ids.shape[1]!, 1);
  if (!features || imageToken === null) return { inputs_embeds: embeds, attention_mask: mask };
  const flat = tensor('float32', [features.data.length / text.width, text.width], features.data);
  return { inputs_embeds: spliced(embeds, ids, flat, imageToken), attention_mask: mask };
}

/** @throws VersusError `unsupported` when a recorded mask hides something: the decoder graph has none */
function mustSeeAll(recorded: Recorded, name: string): void {
  if (!recorded.inputs[name] || toNumbers(recorded.inputs[name]).every((m) => m === 1)) return;
  throw new VersusError('unsupported', `input.${name} hides tokens, and the decoder sees all before its own`);
}

/** A decoder graph with its own growing cache and the encoder's keys and values, which never change. */
class CrossDecoder {
  readonly #sessions: Sessions;
  readonly #mask: Tensor;
  readonly #cross: Tensors;
  /** past_key_values.N.decoder.* so far. */
  cache: Tensors = {};

  /** @param cross the encoder's outputs present.N.encoder.key and .value */
  constructor(sessions: Sessions, mask: Tensor, cross: Tensors) {
    this.#sessions = sessions;
    this.#mask = mask;
    this.#cross = asPast(cross);
  }

  /** Logits [batch, sequence, vocabulary] of the next ids [batch, sequence]. */
  async step(ids: Tensor): Promise<Tensor> {
    const { inputs_embeds } = await this.#sessions.run('embed', { input_ids: ids });
    const { inputs } = await this.#sessions.session('decoder');
    for (const { name, shape } of inputs) {
      if (!/^past_key_values\.\d+\.decoder\./.test(name)) continue;
      const empty = [ids.shape[0]!, Number(shape[1]), 0, Number(shape[3])];
      this.cache[name] ??= tensor('float32', empty, new Float32Array(0));
    }
    const { logits, ...present } = await this.#sessions.run('decoder', {
      ...{ inputs_embeds: inputs_embeds!, encoder_attention_mask: this.#mask },
      ...this.#cross,
      ...this.cache,
    });
    this.cache = asPast(present);
    return logits!;
  }
}

function asPast(present: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(present).map(([name, t]) => [name.replace(/^present\./, 'past_key_values.'), t]),
  );
}
