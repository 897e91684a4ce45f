import { VersusError } from '../core/errors.ts';
import { type Tensors, toNumbers } from '../core/tensor.ts';
import { idsOf, inputOf, type Recorded } from './recorded.ts';
import type { Sessions } from './sessions.ts';
import { filled } from './tokens.ts';

/**
 * What references record of a model like CLIP: whatever of the two towers their inputs allow, and the similarities of both.
 * @throws VersusError `unsupported` for a recorded mask that hides something from a tower without masks
 */
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
    const masked = (await sessions.session('text')).inputs.some((i) => i.name === 'attention_mask');
    if (!masked && toNumbers(mask).includes(0)) {
      throw new VersusError(
        'unsupported',
        'input.attention_mask hides tokens, and this text tower sees all',
        {
          next: 'record texts that are padded to the whole context, without a mask',
        },
      );
    }
    const feeds = { input_ids: ids, ...(masked && { attention_mask: mask }) };
    Object.assign(outputs, await sessions.run('text', feeds));
  }
  const { image_embeds, text_embeds } = outputs;
  if (image_embeds && text_embeds) {
    Object.assign(outputs, await sessions.run('similarity', { image_embeds, text_embeds }));
  }
  return outputs;
}
