import { VersusError } from '../core/errors.ts';
import { float32, int64, type Tensor, type Tensors, tensor, toNumbers } from '../core/tensor.ts';
import type { Phi3VisionConfig } from '../zoo/phi3-vision.ts';
import { CachedDecoder } from './cached-decoder.ts';
import { greedy } from './language.ts';
import { idsOf, inputOf, type Recorded } from './recorded.ts';
import type { Sessions } from './sessions.ts';
import { exceptPadding, joined, span } from './tokens.ts';
import { spliced } from './vision-language.ts';

/** What stands in a prompt where an image's tokens go: -1 for the first image, -2 for the second … */
const IMAGE = -1;

/**
 * What references record of Phi-3.5-vision: the tower's features of every view, the tokens of all images end to end, the
 * prompt with these in place, logits over it, greedy tokens and the logits behind each of them. Recorded are
 * `pixel_values` [images, 1 + crops, 3, side, side], the whole first and unused crops last, and `image_sizes` [images, 2].
 */
export async function phi3VisionOutputs(
  sessions: Sessions,
  recorded: Recorded,
  config: Phi3VisionConfig,
): Promise<Tensors> {
  const { inputs, expected } = recorded;
  const outputs: Tensors = {};
  const embed = async (ids: Tensor) => (await sessions.run('embed', { input_ids: ids })).inputs_embeds!;
  const ids = idsOf(recorded, 'input_ids');
  const mask = inputs.attention_mask && idsOf(recorded, 'attention_mask');
  const positions = inputs.position_ids && idsOf(recorded, 'position_ids');
  // No table has a negative row: as in the reference, id 0 is looked up and then replaced.
  let embeds = await embed(mapped(ids, (id) => Math.max(id, 0)));
  if (inputs.pixel_values) {
    const { features, clip } = await imagesOf(sessions, recorded, config);
    outputs.clip_features = clip;
    outputs.image_features = tensor('float32', features.shape.slice(1), features.data);
    embeds = spliced(
      embeds,
      mapped(ids, (id) => Math.max(id, IMAGE)),
      features,
      IMAGE,
    );
  }
  outputs.inputs_embeds = embeds;
  const decoder = () => new CachedDecoder(sessions, 'decoder', 'inputs_embeds');
  const logits = await decoder().step(embeds, { mask, positions });
  outputs.logits = mask ? exceptPadding(logits, mask, expected.logits) : logits;

  const fresh = expected.greedy_new_ids?.shape[1] ?? expected.decode_logits?.shape[1] ?? 0;
  if (fresh > 0) {
    // One more than recorded, for the logits of the step that feeds the last.
    const found = await greedy(decoder(), embeds, fresh + 1, { mask, positions }, embed);
    outputs.greedy_new_ids = span(found.ids, 0, fresh);
    outputs.decode_logits = joined(found.logits);
  }
  return outputs;
}

/** Tokens of all images, [1, tokens, width], and features of all their views, [images, 1 + crops, patches, width]. */
async function imagesOf(sessions: Sessions, recorded: Recorded, { vision }: Phi3VisionConfig) {
  const pixels = inputOf(recorded, 'pixel_values', 5);
  const sizes = toNumbers(idsOf(recorded, 'image_sizes'));
  const [images = 0, views = 0, ...view] = pixels.shape;
  if (images < 1) throw new VersusError('input', 'input.pixel_values holds no image');
  const length = view.reduce((a, b) => a * b, 1);
  const features: Tensor[] = [];
  const clip: Tensor[] = [];
  for (let i = 0; i < images; i++) {
    const [rows, columns] = [0, 1].map((axis) => sizes[2 * i + axis]! / vision.image[axis]!) as [
      number,
      number,
    ];
    const spare = views - 1 - rows * columns;
    if (![rows, columns].every((n) => Number.isInteger(n) && n >= 1) || spare < 0) {
      const size = sizes.slice(2 * i, 2 * i + 2).join(' × ');
      throw new VersusError(
        'input',
        `image_sizes: an image of ${size} is no grid of at most ${views - 1} crops`,
      );
    }
    const part = (shape: readonly number[], from: number, count: number) => {
      const start = (i * views + from) * length;
      return float32(
        [1, ...shape, ...view],
        (pixels.data as Float32Array).subarray(start, start + count * length),
      );
    };
    const whole = part([], 0, 1);
    const seen = await sessions.run('vision', {
      global_view: whole,
      crops: part([rows, columns], 1, rows * columns),
    });
    features.push(seen.image_features!);
    clip.push(seen.clip_features!);
    if (spare === 0) continue;
    // The reference's tower sees the crops that fill up the batch, too.
    const rest = { global_view: whole, crops: part([1, spare], 1 + rows * columns, spare) };
    clip.push(span((await sessions.run('vision', rest)).clip_features!, 1, 1 + spare));
  }
  const all = joined(clip);
  return {
    features: joined(features),
    clip: tensor('float32', [images, views, ...all.shape.slice(2)], all.data),
  };
}

function mapped(ids: Tensor, change: (id: number) => number): Tensor {
  return int64(ids.shape, toNumbers(ids).map(change));
}
