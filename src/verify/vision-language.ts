import { VersusError } from '../core/errors.ts';
import { allocate, int64, type Tensor, type Tensors, tensor, toNumbers } from '../core/tensor.ts';
import type { LlavaConfig } from '../zoo/llava.ts';
import { CachedDecoder } from './cached-decoder.ts';
import { greedy } from './language.ts';
import { idsOf, inputOf, type Recorded } from './recorded.ts';
import type { Sessions } from './sessions.ts';
import { exceptPadding } from './tokens.ts';

/** A second route to the same logits, compared under this name beside `logits`. */
export const UNEXPANDED = 'logits (input_ids_unexpanded)';

/**
 * What references record of a model like LLaVA: the tower's hidden state, the projected features, the prompt with the
 * features in place of image tokens, logits over it, greedy tokens and the logits of the first step that fed one.
 */
export async function visionLanguageOutputs(
  sessions: Sessions,
  recorded: Recorded,
  config: LlavaConfig,
): Promise<Tensors> {
  const { inputs, expected } = recorded;
  const { image_features: features, vision_hidden: hidden } = await sessions.run('vision', {
    pixel_values: inputOf(recorded, 'pixel_values', 4),
  });
  const outputs: Tensors = { image_features: features! };
  // References name the hidden state by its layer: `vision_hidden_m2` is the last but one.
  for (const name of Object.keys(expected)) if (/^vision_hidden/.test(name)) outputs[name] = hidden!;

  const embed = async (ids: Tensor) => (await sessions.run('embed', { input_ids: ids })).inputs_embeds!;
  const splice = async (ids: Tensor) => spliced(await embed(ids), ids, features!, config.imageToken);
  const decoder = () => new CachedDecoder(sessions, 'decoder', 'inputs_embeds');
  const short =
    inputs.input_ids_unexpanded && !(inputs.input_ids && inputs.attention_mask)
      ? expanded(idsOf(recorded, 'input_ids_unexpanded'), config.imageToken, features!.shape[1]!)
      : null;
  const ids = inputs.input_ids ? idsOf(recorded, 'input_ids') : short;
  if (!ids) throw new VersusError('input', 'io.safetensors lacks input.input_ids');
  const mask = inputs.attention_mask ? idsOf(recorded, 'attention_mask') : undefined;
  const embeds = await splice(ids);
  outputs.inputs_embeds = embeds;
  const logits = await decoder().step(embeds, { mask });
  outputs.logits = mask ? exceptPadding(logits, mask, expected.logits) : logits;
  if (short && inputs.input_ids) outputs[UNEXPANDED] = await decoder().step(await splice(short));

  const fresh = expected.greedy_new_ids?.shape[1] ?? 0;
  if (fresh > 0) {
    // One more than recorded, for the logits of the step that feeds the only token.
    const { ids: found, logits } = await greedy(decoder(), embeds, fresh + 1, { mask }, embed);
    const [batch = 0, , vocabulary = 0] = outputs.logits.shape;
    outputs.greedy_new_ids = firstColumns(found, fresh);
    outputs.first_decode_logits = tensor('float32', [batch, vocabulary], logits[0]!.data);
  }
  return outputs;
}

function firstColumns(ids: Tensor, count: number): Tensor {
  const [batch = 0, length = 0] = ids.shape;
  const all = toNumbers(ids);
  return int64(
    [batch, count],
    Array.from({ length: batch * count }, (_, i) => all[Math.floor(i / count) * length + (i % count)]!),
  );
}

/** Each image token repeated once per feature of its image. */
function expanded(ids: Tensor, imageToken: number, perImage: number): Tensor {
  const [batch = 0, length = 0] = ids.shape;
  const all = toNumbers(ids);
  const rows = Array.from({ length: batch }, (_, b) =>
    [...all.subarray(b * length, (b + 1) * length)].flatMap((id) =>
      id === imageToken ? Array.from({ length: perImage }, () => id) : [id],
    ),
  );
  const width = rows[0]?.length ?? 0;
  if (rows.some((row) => row.length !== width)) {
    throw new VersusError('unsupported', 'input_ids_unexpanded has rows with different numbers of images');
  }
  return int64([batch, width], rows.flat());
}

/** The prompt's embeddings with the images' features, in order, in the places of the image tokens. */
export function spliced(embeds: Tensor, ids: Tensor, features: Tensor, imageToken: number): Tensor {
  const width = embeds.shape[2]!;
  const data = allocate('float32', embeds.data.length) as Float32Array;
  data.set(embeds.data as Float32Array);
  const rows = features.data as Float32Array;
  let used = 0;
  toNumbers(ids).forEach((id, place) => {
    if (id !== imageToken) return;
    data.set(rows.subarray(used, used + width), place * width);
    used += width;
  });
  if (used !== rows.length) {
    const places = used / width;
    throw new VersusError(
      'input',
      `the prompt has ${places} image tokens for ${rows.length / width} features`,
    );
  }
  return tensor('float32', embeds.shape, data);
}
