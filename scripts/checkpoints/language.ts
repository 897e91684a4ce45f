import path from 'node:path';
import { shapes } from '../../datasets/shapes/index.ts';
import stories from '../../datasets/stories/index.ts';
import { float32, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { BEFORE_IMAGE } from '../../src/data/chat.ts';
import { type Example, examplesOf } from '../../src/training/examples.ts';
import { readSafetensors } from '../../src/weights/index.ts';
import { EDGE } from './classifiers.ts';
import { SQUASHED } from './contrastive.ts';
import { LARGE, ROOT } from './places.ts';
import type { Recipe } from './recipe.ts';
import { vocabulary } from './vocabulary.ts';

const words = await vocabulary(ROOT);

/** Qwen2's decoder, 96 wide. */
const DECODER = {
  ...{ model_type: 'qwen2', vocab_size: words.length, hidden_size: 96, intermediate_size: 256 },
  ...{ num_hidden_layers: 3, num_attention_heads: 4, num_key_value_heads: 4, hidden_act: 'silu' },
  ...{ max_position_embeddings: 256, rms_norm_eps: 1e-6, rope_theta: 10000, tie_word_embeddings: true },
  ...{ bos_token_id: 2, eos_token_id: words.length - 1 },
};

export const LLM: Recipe = {
  name: 'shapes-llm',
  about: 'A language model of three Qwen2 layers that reads short stories and answers a question about each.',
  config: { ...DECODER, architectures: ['Qwen2ForCausalLM'] },
  reads: true,
  data: 'the training texts of stories (story, question, answer), every token learnt',
  async examples() {
    const train = await (await stories.prepare(ROOT)).samples('train');
    return train.map(({ text }): Example => ({ text: text! }));
  },
  ...{ sizes: { batch: 48, sequence: 32 }, steps: 2000, rate: 3e-3, warmup: 100, weightDecay: 0.05, seed: 4 },
};

/** The numbers of a checkpoint beside this one, under a prefix. */
async function from(folder: string, name: string, prefix: string): Promise<Tensors> {
  const numbers = await readSafetensors(path.join(folder, name, 'model.safetensors'));
  return Object.fromEntries(
    Object.entries(numbers).map(([tensor, t]) => [`${prefix}${tensor}`, float32(t.shape, toNumbers(t))]),
  );
}

/** CLIP's vision transformer over 16 patches: an image is 16 tokens of the prompt. */
const TOWER = {
  ...{ image_size: EDGE, patch_size: 16, num_channels: 3, hidden_size: 96, num_hidden_layers: 3 },
  ...{ num_attention_heads: 4, intermediate_size: 384, hidden_act: 'quick_gelu', layer_norm_eps: 1e-5 },
};

export const VLM: Recipe = {
  name: 'shapes-vlm',
  about: 'LLaVA around shapes-llm and a vision transformer of its own: captions, and answers about an image.',
  config: {
    ...{ model_type: 'llava', architectures: ['LlavaForConditionalGeneration'], image_token_index: 3 },
    ...{ projector_hidden_act: 'gelu', vision_feature_layer: -1, vision_feature_select_strategy: 'default' },
    vision_config: { model_type: 'clip_vision_model', ...TOWER },
    text_config: DECODER,
  },
  preprocessor: SQUASHED,
  reads: true,
  data: `captions and five questions about each of the training images of shapes (${LARGE} images), answers learnt`,
  async examples() {
    const dataset = await shapes({ size: LARGE }).prepare(ROOT);
    return examplesOf(
      { name: 'shapes-vlm', task: 'generate' } as never,
      ['vision', 'embed', 'decoder'],
      dataset,
      'train',
    );
  },
  before: BEFORE_IMAGE,
  sizes: { batch: 32, sequence: 30, before: 2 },
  ...{ steps: 600, rate: 1.5e-3, warmup: 100, weightDecay: 0.05, seed: 5 },
  // What it says it has from shapes-llm; what it sees it learns here.
  starts: (folder) => from(folder, 'shapes-llm', 'language_model.'),
};
