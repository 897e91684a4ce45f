import type { Tensors } from '../core/tensor.ts';
import { idsOf, inputOf, type Recorded } from './recorded.ts';
import type { Sessions } from './sessions.ts';
import { filled } from './tokens.ts';

/** What references record of a model like CLIP: whatever of the two towers their inputs allow, and the similarities of both. */
export async function contrastiveOutputs(sessions: Sessions, recorded: Recorded): Promise<Tensors> {
  const { inputs } = recorded;
  const outputs: Tensors = {};
  if (inputs.pixel_values) {
    const images = { pixel_values: inputOf(recorded, 'pixel_values', 4) };
    Object.assign(outputs, await sessions.run('vision', images));
  }
  if (inputs.input_ids) {
    const ids = idsOf(recorded, 'input_ids');
    const mask = inputs.attention_mask
      ? idsOf(recorded, 'attention_mask')
      : filled(ids.shape[0]!, ids.shape[1]!, 1);
    Object.assign(outputs, await sessions.run('text', { input_ids: ids, attention_mask: mask }));
  }
  const { image_embeds, text_embeds } = outputs;
  if (image_embeds && text_embeds) {
    Object.assign(outputs, await sessions.run('similarity', { image_embeds, text_embeds }));
  }
  return outputs;
}
