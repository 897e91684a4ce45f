import type { ImagePreprocess, ModelDef, Published } from '../../core/model.ts';
import {
  deitPreprocess,
  plainPreprocess,
  squashedClipPreprocess,
  torchvisionPreprocess,
  vitPreprocess,
} from '../../core/processors.ts';
import { buildResNet, type ResNetConfig } from '../resnet.ts';
import { buildVit, type VitConfig } from '../vit.ts';

/* Image classifiers. Counts: torchvision's `num_params`, DeiT's and DynamicViT's tables; MACs: timm's benchmark tables. */

const TORCHVISION_COUNT = 'torchvision weights meta num_params; timm benchmark-infer GMACs';
const TIMM_COUNT = 'timm results param_count and GMACs';

/** An image classifier is all vision. */
const PARTS = { vision: [''] } as const;

const published = (parameters: number, gmacs: number | null, source: string): Published => ({
  parameters,
  ...(gmacs !== null && { macs: gmacs * 1e9 }),
  source,
});

function resnet(
  name: string,
  block: ResNetConfig['block'],
  depths: readonly number[],
  about: Published | null,
  small: Partial<ResNetConfig> = {},
): ModelDef<ResNetConfig> {
  const factor = block === 'basic' ? 1 : 4;
  const config: ResNetConfig = {
    ...{ block, depths, image: [224, 224], channels: 3, stemWidth: 64, classes: 1000, activation: 'relu' },
    widths: [64, 128, 256, 512].map((w) => w * factor),
    ...{ strideInFirstStage: false, strideInReduction: false, naming: 'transformers' },
    ...small,
  };
  return {
    ...{ name, family: 'resnet', task: 'classify', config, build: buildResNet, parts: PARTS },
    ...(about && { published: about }),
    preprocess: about ? torchvisionPreprocess() : plainPreprocess(config.image[0]),
  };
}

type Shape = readonly [width: number, depth: number, heads: number, patch: number];

function vit(
  name: string,
  family: 'vit' | 'deit',
  [width, depth, heads, patch]: Shape,
  preprocess: ImagePreprocess,
  about: Published | null,
  other: Partial<VitConfig> = {},
): ModelDef<VitConfig> {
  const config: VitConfig = {
    ...{ width, depth, heads, patch: [patch, patch], mlpWidth: 4 * width, image: [224, 224], channels: 3 },
    ...{ classes: 1000, eps: 1e-12, activation: 'gelu', qkvBias: true, patchBias: true, normFirst: false },
    ...{ distillation: 'none', naming: 'vit' },
    ...other,
  };
  return {
    ...{ name, family, task: 'classify', config, build: buildVit, preprocess, parts: PARTS },
    ...(about && { published: about }),
  };
}

const DISTILLED = { distillation: 'token+head', naming: 'deit' } as const;
const SMALL_IMAGE = { image: [64, 64], classes: 8 } as const;

export const IMAGE_MODELS: readonly ModelDef[] = [
  resnet('resnet-18', 'basic', [2, 2, 2, 2], published(11_689_512, 1.82, TORCHVISION_COUNT)),
  resnet('resnet-34', 'basic', [3, 4, 6, 3], published(21_797_672, null, TORCHVISION_COUNT)),
  resnet('resnet-50', 'bottleneck', [3, 4, 6, 3], published(25_557_032, 4.11, TORCHVISION_COUNT)),
  resnet('resnet-101', 'bottleneck', [3, 4, 23, 3], published(44_549_160, 7.83, TORCHVISION_COUNT)),
  resnet('resnet-152', 'bottleneck', [3, 8, 36, 3], published(60_192_808, 11.56, TORCHVISION_COUNT)),
  resnet('resnet-tiny', 'basic', [1, 1, 1, 1], null, {
    ...SMALL_IMAGE,
    ...{ stemWidth: 16, widths: [16, 32, 64, 128] },
  }),
  vit('vit-b-16', 'vit', [768, 12, 12, 16], vitPreprocess(), published(86_567_656, 17.58, TORCHVISION_COUNT)),
  vit('vit-b-32', 'vit', [768, 12, 12, 32], vitPreprocess(), published(88_224_232, null, TORCHVISION_COUNT)),
  vit(
    'vit-l-16',
    'vit',
    [1024, 24, 16, 16],
    vitPreprocess(),
    published(304_326_632, null, TORCHVISION_COUNT),
  ),
  // timm's vit_large_patch14_clip_336, whose published count is rounded (304.53M); OpenAI's weights want quick_gelu.
  vit(
    'vit-l-14-336',
    'vit',
    [1024, 24, 16, 14],
    squashedClipPreprocess(336),
    { macs: 191.11e9, source: TIMM_COUNT },
    {
      ...{ image: [336, 336], eps: 1e-5, activation: 'quick_gelu', patchBias: false, normFirst: true },
      naming: 'timm',
    },
  ),
  vit('vit-tiny', 'vit', [64, 4, 4, 8], plainPreprocess(64), null, SMALL_IMAGE),
  // facebook/deit-*-patch16-224 without distillation are plain ViTs, tensor names included.
  vit('deit-ti-16', 'deit', [192, 12, 3, 16], deitPreprocess(), published(5_717_416, null, TIMM_COUNT)),
  vit('deit-s-16', 'deit', [384, 12, 6, 16], deitPreprocess(), published(22_050_664, 4.61, TIMM_COUNT)),
  vit('deit-b-16', 'deit', [768, 12, 12, 16], deitPreprocess(), published(86_567_656, null, TIMM_COUNT)),
  vit(
    'deit-ti-16-distilled',
    'deit',
    [192, 12, 3, 16],
    deitPreprocess(),
    published(5_910_800, null, TIMM_COUNT),
    DISTILLED,
  ),
  vit(
    'deit-s-16-distilled',
    'deit',
    [384, 12, 6, 16],
    deitPreprocess(),
    published(22_436_432, 4.63, TIMM_COUNT),
    DISTILLED,
  ),
  vit(
    'deit-b-16-distilled',
    'deit',
    [768, 12, 12, 16],
    deitPreprocess(),
    published(87_338_192, null, TIMM_COUNT),
    DISTILLED,
  ),
  vit('deit-tiny', 'deit', [64, 4, 4, 8], plainPreprocess(64), null, { ...SMALL_IMAGE, ...DISTILLED }),
];
