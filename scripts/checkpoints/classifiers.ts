import { shapes } from '../../datasets/shapes/index.ts';
import { SHAPES } from '../../datasets/shapes/scene.ts';
import type { Example } from '../../src/training/examples.ts';
import { LARGE, ROOT } from './places.ts';
import type { Recipe } from './recipe.ts';

const HALVES = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };

/** Both edges of every image. */
export const EDGE = 64;

const labels = {
  id2label: Object.fromEntries(SHAPES.map((shape, i) => [i, shape])),
  label2id: Object.fromEntries(SHAPES.map((shape, i) => [shape, i])),
};

const squash = (type: string) => ({
  ...{ image_processor_type: type, do_resize: true, size: { height: EDGE, width: EDGE }, resample: 2 },
  ...{ do_rescale: true, rescale_factor: 1 / 255, do_normalize: true, ...HALVES },
});

async function labelled(): Promise<Example[]> {
  const train = await (await shapes({ size: LARGE }).prepare(ROOT)).samples('train');
  return train.map((sample) => ({ sample, label: sample.label! }));
}

const common = {
  ...{
    reads: false,
    data: `the shape of the training images of shapes (${LARGE} images)`,
    examples: labelled,
  },
  ...{ sizes: { batch: 32 }, weightDecay: 0.05, labelSmoothing: 0.1, seed: 1, warmup: 100 },
};

export const RESNET: Recipe = {
  ...common,
  name: 'shapes-resnet',
  about: 'A residual network of four basic blocks that names the shape in an image.',
  config: {
    ...{ model_type: 'resnet', architectures: ['ResNetForImageClassification'], num_channels: 3 },
    ...{ embedding_size: 16, hidden_sizes: [16, 32, 64, 128], depths: [1, 1, 1, 1], layer_type: 'basic' },
    ...{ hidden_act: 'relu', downsample_in_first_stage: false, ...labels },
  },
  preprocessor: squash('ViTImageProcessor'),
  steps: 1500,
  rate: 3e-3,
};

export const VIT: Recipe = {
  ...common,
  name: 'shapes-vit',
  about: 'A vision transformer of four blocks over 64 patches that names the shape in an image.',
  config: {
    ...{ model_type: 'vit', architectures: ['ViTForImageClassification'], num_channels: 3 },
    ...{ image_size: EDGE, patch_size: 8, hidden_size: 64, num_hidden_layers: 4, num_attention_heads: 4 },
    ...{ intermediate_size: 256, hidden_act: 'gelu', layer_norm_eps: 1e-6, qkv_bias: true, ...labels },
  },
  preprocessor: squash('ViTImageProcessor'),
  steps: 2000,
  rate: 1.5e-3,
};
