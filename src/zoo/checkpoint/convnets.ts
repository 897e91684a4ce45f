import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import { type AlexNetConfig, alexNetGrid, buildAlexNet } from '../alexnet.ts';
import { buildConvNext, type ConvNextConfig, convNextGrid } from '../convnext.ts';
import { buildVgg, type VggConfig, vggGrid } from '../vgg.ts';
import { activation, classesOf, depth, labels, positive, readConfig, sides, size, wrong } from './fields.ts';
import type { CheckpointOptions } from './index.ts';

/* AlexNet, VGG and ConvNeXt: keys and defaults of torchvision 0.14 and transformers 4.45.2. */

const classifier = <C>(family: string, config: C, build: ModelDef<C>['build']): ModelDef<C> => ({
  ...{ name: family, family, task: 'classify', config, build },
});

/** What torchvision's networks see: nothing in their checkpoints says how large images are. */
const inputSize = z.tuple([size, size, size, size]).optional();
function imageOf(input: z.infer<typeof inputSize>, options: CheckpointOptions) {
  const recorded = input && ([input[2], input[3]] as const);
  return { image: options.image ?? recorded ?? ([224, 224] as const), channels: input?.[1] ?? 3 };
}

/** @throws VersusError `input` when strides and pooling leave nothing of the image */
function mustRemain(field: string, image: readonly number[], left: readonly number[], where: string): void {
  if (Math.min(...left) >= 1) return;
  throw wrong(field, `strides and pooling leave nothing of an image of ${image.join(' × ')} pixels`, where);
}

const poolTo = sides.pipe(
  z.custom<readonly [number, number]>((s) => (s as number[]).every((n) => n <= 64), 'at most 64'),
);

const alexnetSchema = z.looseObject({
  channels: z.tuple([size, size, size, size, size]).default([64, 192, 384, 256, 256]),
  hidden_size: size.default(4096),
  avgpool_output_size: poolTo.default([6, 6]),
  num_classes: size.default(1000),
  input_size: inputSize,
});

/** torchvision.models.AlexNet. */
export function torchvisionAlexNet(config: unknown, options: CheckpointOptions): ModelDef<AlexNetConfig> {
  const c = readConfig(alexnetSchema, config, 'torchvision alexnet');
  const input = imageOf(c.input_size, options);
  mustRemain('input_size', input.image, alexNetGrid(input.image), 'torchvision alexnet');
  return classifier(
    'alexnet',
    {
      ...input,
      ...{ widths: c.channels, pool: c.avgpool_output_size, hidden: c.hidden_size, classes: c.num_classes },
    },
    buildAlexNet,
  );
}

const vggSchema = z.looseObject({
  architecture: z.string(),
  cfg: z
    .array(z.union([size, z.literal('M')], 'a width, or "M" for pooling'))
    .min(1)
    .max(1024),
  batch_norm: z.boolean().optional(),
  hidden_size: size.default(4096),
  avgpool_output_size: poolTo.default([7, 7]),
  num_classes: size.default(1000),
  input_size: inputSize,
});

/** torchvision.models.VGG, with normalisation if the config or the architecture's name says so. */
export function torchvisionVgg(config: unknown, options: CheckpointOptions): ModelDef<VggConfig> {
  const c = readConfig(vggSchema, config, 'torchvision vgg');
  const input = imageOf(c.input_size, options);
  mustRemain('input_size', input.image, vggGrid(input.image, c.cfg), 'torchvision vgg');
  const batchNorm = c.batch_norm ?? c.architecture === 'vgg_bn';
  return classifier(
    'vgg',
    {
      ...{ ...input, layers: c.cfg, batchNorm, pool: c.avgpool_output_size },
      ...{ hidden: c.hidden_size, classes: c.num_classes },
    },
    buildVgg,
  );
}

const stages = (item: z.ZodType<number>) => z.array(item).min(1).max(64);

const torchvisionConvNextSchema = z.looseObject({
  dims: stages(size).default([96, 192, 384, 768]),
  depths: stages(depth).default([3, 3, 9, 3]),
  num_classes: size.default(1000),
  input_size: inputSize,
});

/** torchvision.models.ConvNeXt: every LayerNorm has eps 1e-6, patches are 4×4. */
export function torchvisionConvNext(config: unknown, options: CheckpointOptions): ModelDef<ConvNextConfig> {
  const c = readConfig(torchvisionConvNextSchema, config, 'torchvision convnext');
  if (c.depths.length !== c.dims.length) {
    throw wrong('depths', `has ${c.depths.length} stages, dims ${c.dims.length}`, 'torchvision convnext');
  }
  const shape = { ...imageOf(c.input_size, options), patch: [4, 4] as const, depths: c.depths };
  mustRemain('input_size', shape.image, convNextGrid(shape), 'torchvision convnext');
  return classifier(
    'convnext',
    {
      ...{ ...shape, widths: c.dims, classes: c.num_classes, activation: 'gelu' },
      ...{ layerScale: true, headEps: 1e-6, naming: 'torchvision', taps: options.taps ?? false },
    },
    buildConvNext,
  );
}

const convnextSchema = z.looseObject({
  num_channels: size.default(3),
  patch_size: sides.default([4, 4]),
  num_stages: z.int().min(1).max(64).default(4),
  hidden_sizes: stages(size).nullish(),
  depths: stages(depth).nullish(),
  hidden_act: activation.default('gelu'),
  layer_norm_eps: positive.default(1e-12),
  layer_scale_init_value: z.number().default(1e-6),
  image_size: sides.default([224, 224]),
  ...labels,
});

/** ConvNextForImageClassification. Images may be of any size, since no weight depends on it; image_size is the usual one. */
export function transformersConvNext(config: unknown, options: CheckpointOptions): ModelDef<ConvNextConfig> {
  const c = readConfig(convnextSchema, config, 'convnext');
  const widths = c.hidden_sizes ?? [96, 192, 384, 768];
  const depths = c.depths ?? [3, 3, 9, 3];
  for (const [field, values] of [
    ['hidden_sizes', widths],
    ['depths', depths],
  ] as const) {
    if (values.length !== c.num_stages) {
      throw wrong(field, `has ${values.length} stages, num_stages says ${c.num_stages}`, 'convnext');
    }
  }
  const shape = { image: options.image ?? c.image_size, patch: c.patch_size, depths };
  mustRemain('image_size', shape.image, convNextGrid(shape), 'convnext');
  return classifier(
    'convnext',
    {
      ...{ ...shape, channels: c.num_channels, widths, classes: classesOf(c) },
      ...{ activation: c.hidden_act, headEps: c.layer_norm_eps },
      // Without an initial value there is no such tensor.
      ...{ layerScale: c.layer_scale_init_value > 0, naming: 'transformers', taps: options.taps ?? false },
    },
    buildConvNext,
  );
}
