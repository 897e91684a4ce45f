import { VersusError } from '../core/errors.ts';
import { type Grid, patchPositions, promptPositions } from '../core/positions.ts';
import { int64, type Tensor, type Tensors, tensor, toNumbers } from '../core/tensor.ts';
import type { Qwen2VlConfig } from '../zoo/qwen2-vl.ts';
import { CachedDecoder } from './cached-decoder.ts';
import { greedy } from './language.ts';
import { idsOf, inputOf, type Recorded } from './recorded.ts';
import type { Sessions } from './sessions.ts';
import { exceptPadding, joined } from './tokens.ts';
import { firstColumns, spliced } from './vision-language.ts';

/**
 * What references record of Qwen2-VL: the features of every image, positions on three axes and how far the text behind the
 * prompt is from the cache's length, logits over the prompt, greedy tokens, and the logits of the steps that fed them.
 * Images may differ in size: each runs through the tower by itself.
 */
export async function qwen2VlOutputs(
  sessions: Sessions,
  recorded: Recorded,
  config: Qwen2VlConfig,
): Promise<Tensors> {
  const { inputs, expected } = recorded;
  const outputs: Tensors = {};
  const grids = inputs.image_grid_thw ? gridsOf(idsOf(recorded, 'image_grid_thw'), config) : [];
  const features =
    grids.length > 0
      ? await imageFeatures(sessions, inputOf(recorded, 'pixel_values', 2), grids, config)
      : null;
  if (features) outputs.image_embeds = features;
  if (!inputs.input_ids) return outputs;

  const ids = idsOf(recorded, 'input_ids');
  const mask = inputs.attention_mask ? idsOf(recorded, 'attention_mask') : undefined;
  const { merge } = config.vision;
  const images = grids.map(([t, h, w]): Grid => [t, h / merge, w / merge]);
  const { positions, behind } = promptPositions(ids, mask, config.imageToken, images);
  const [batch = 0] = ids.shape;
  outputs.position_ids = positions;
  outputs.rope_deltas = int64([batch, 1], behind);

  const embed = async (of: Tensor) => (await sessions.run('embed', { input_ids: of })).inputs_embeds!;
  const plain = await embed(ids);
  const embeds = features ? spliced(plain, ids, features, config.imageToken) : plain;
  const later = (rows: number, past: number, length: number) =>
    int64(
      [3, rows, length],
      Array.from({ length: 3 * rows * length }, (_, i) => {
        const row = Math.floor(i / length) % rows;
        return past + behind[row]! + (i % length);
      }),
    );
  const decoder = () => new CachedDecoder(sessions, 'decoder', 'inputs_embeds', later);
  const logits = await decoder().step(embeds, { mask, positions });
  outputs.logits = mask ? exceptPadding(logits, mask, expected.logits) : logits;

  const fresh = Math.max(expected.greedy_new_ids?.shape[1] ?? 0, expected.decode_logits?.shape[1] ?? 0);
  if (fresh > 0) {
    // One more than recorded, for the logits of the step that feeds the last.
    const found = await greedy(decoder(), embeds, fresh + 1, { mask, positions }, embed);
    outputs.greedy_new_ids = firstColumns(found.ids, fresh);
    outputs.decode_logits = joined(found.logits);
  }
  return outputs;
}

/** Frames, rows and columns of every image in patches. */
function gridsOf(recorded: Tensor, { vision }: Qwen2VlConfig): Grid[] {
  const values = toNumbers(recorded);
  const grids = Array.from({ length: recorded.shape[0]! }, (_, i): Grid => {
    const [t = 0, h = 0, w = 0] = values.subarray(3 * i, 3 * i + 3);
    return [t, h, w];
  });
  for (const [t, h, w] of grids) {
    if (t < 1 || h < 1 || w < 1 || h % vision.merge !== 0 || w % vision.merge !== 0) {
      throw new VersusError('input', `input.image_grid_thw has a grid of ${t} × ${h} × ${w}`, {
        next: `rows and columns are multiples of the merge size, ${vision.merge}`,
      });
    }
  }
  return grids;
}

/** Features of all images end to end, [tokens, width]. Frames of one grid do not see each other: they are a batch. */
async function imageFeatures(
  sessions: Sessions,
  pixels: Tensor,
  grids: readonly Grid[],
  config: Qwen2VlConfig,
): Promise<Tensor> {
  const [patches = 0, width = 0] = pixels.shape;
  const wanted = grids.reduce((n, [t, h, w]) => n + t * h * w, 0);
  if (patches !== wanted) {
    throw new VersusError('input', `input.pixel_values has ${patches} patches, the grids ${wanted}`);
  }
  const parts: Tensor[] = [];
  let from = 0;
  for (const [t, h, w] of grids) {
    const own = pixels.data.subarray(from, from + t * h * w * width) as Float32Array;
    from += own.length;
    const { image_features } = await sessions.run('vision', {
      pixel_values: tensor('float32', [t, h * w, width], own),
      patch_positions: patchPositions(h, w, config.vision.merge),
    });
    parts.push(image_features!);
  }
  const rows = parts.map((p) => tensor('float32', [1, p.shape[0]! * p.shape[1]!, p.shape[2]!], p.data));
  const all = joined(rows);
  return tensor('float32', all.shape.slice(1), all.data);
}
