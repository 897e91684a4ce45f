import { shapes } from '../../datasets/shapes/index.ts';
import type { Sample } from '../../src/core/dataset.ts';
import type { Example } from '../../src/training/examples.ts';
import { EDGE } from './classifiers.ts';
import { LARGE, ROOT } from './places.ts';
import type { Recipe } from './recipe.ts';
import { vocabulary } from './vocabulary.ts';

/** Tokens of a text, the start and the end among them. */
const CONTEXT = 20;

const words = await vocabulary(ROOT);

/** Both edges of images, with CLIP's statistics: the whole image, not its middle. */
export const SQUASHED = {
  ...{ image_processor_type: 'ViTImageProcessor', do_resize: true, size: { height: EDGE, width: EDGE } },
  ...{ resample: 3, do_rescale: true, rescale_factor: 1 / 255, do_normalize: true },
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
};

/** What is said of an image: the caption, the thing and its place, the thing, and the shape alone. */
function textsOf({ caption = '', attributes }: Sample): string[] {
  const { shape, colour } = attributes!;
  const article = colour === 'orange' ? 'an' : 'a';
  return [
    caption,
    caption.replace(/ on a .*$/, ''),
    `a photo of ${article} ${colour} ${shape}.`,
    `a drawing of ${article} ${colour} ${shape}.`,
    `a photo of a ${shape}.`,
  ];
}

async function captioned(): Promise<Example[]> {
  const train = await (await shapes({ size: LARGE }).prepare(ROOT)).samples('train');
  return train.flatMap((sample) => textsOf(sample).map((text) => ({ sample, text })));
}

export const CLIP: Recipe = {
  name: 'shapes-clip',
  about:
    'CLIP with a learnable temperature: a residual network with attention pooling and a text transformer that meet in 64 dimensions.',
  config: {
    ...{ architecture: 'clip_resnet', embed_dim: 64, quick_gelu: true },
    vision_cfg: { layers: [1, 1, 1, 1], width: 12, head_width: 32, image_size: EDGE },
    text_cfg: { context_length: CONTEXT, vocab_size: words.length, width: 64, heads: 4, layers: 2 },
  },
  preprocessor: SQUASHED,
  reads: true,
  data: `captions, shorter captions and CLIP's phrases about the training images of shapes (${LARGE} images)`,
  examples: captioned,
  ...{ sizes: { batch: 32, sequence: CONTEXT }, steps: 900, rate: 2e-3, warmup: 100, weightDecay: 0.05 },
  seed: 3,
};
