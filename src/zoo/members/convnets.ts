import type { ModelDef, Published } from '../../core/model.ts';
import {
  convnextPreprocess,
  plainPreprocess,
  swinPreprocess,
  torchvisionPreprocess,
} from '../../core/processors.ts';
import { type AlexNetConfig, buildAlexNet } from '../alexnet.ts';
import { buildConvNext, type ConvNextConfig } from '../convnext.ts';
import { buildSwin, type SwinConfig } from '../swin.ts';
import { buildVgg, type VggConfig } from '../vgg.ts';

/*
 * Classifiers whose feature maps shrink on the way: AlexNet, VGG, Swin, ConvNeXt.
 * `-tiny` is each family's smallest configuration, for tests; what papers call Swin-T and ConvNeXt-T is `-t` here.
 */

const COUNT = 'torchvision weights meta num_params';
const TIMM = `${COUNT}; timm benchmark-infer GMACs`;

const published = (parameters: number, gmacs: number, source = TIMM): Published => ({
  parameters,
  macs: gmacs * 1e9,
  source,
});

function alexnet(
  name: string,
  about: Published | null,
  small: Partial<AlexNetConfig> = {},
): ModelDef<AlexNetConfig> {
  const config: AlexNetConfig = {
    ...{ image: [224, 224], channels: 3, widths: [64, 192, 384, 256, 256], pool: [6, 6] },
    ...{ hidden: 4096, classes: 1000 },
    ...small,
  };
  return {
    ...{ name, family: 'alexnet', task: 'classify', config, build: buildAlexNet },
    ...(about && { published: about }),
    preprocess: about ? torchvisionPreprocess() : plainPreprocess(config.image[0]),
  };
}

/** So many convolutions of each of the five widths, with pooling behind each width. */
const stages = (counts: readonly number[], widths: readonly number[]): VggConfig['layers'] =>
  counts.flatMap((count, i): VggConfig['layers'] => [...new Array<number>(count).fill(widths[i]!), 'M']);

function vgg(name: string, layers: VggConfig['layers'], about: Published): ModelDef<VggConfig> {
  const config: VggConfig = {
    ...{ image: [224, 224], channels: 3, layers, batchNorm: name.endsWith('-bn'), pool: [7, 7] },
    ...{ hidden: 4096, classes: 1000 },
  };
  return {
    ...{ name, family: 'vgg', task: 'classify', config, build: buildVgg, published: about },
    preprocess: torchvisionPreprocess(),
  };
}

function tinyVgg(name: string, batchNorm: boolean): ModelDef<VggConfig> {
  const config: VggConfig = {
    ...{ image: [64, 64], channels: 3, layers: stages([1, 1, 2, 2, 2], [8, 16, 32, 32, 32]), batchNorm },
    ...{ pool: [2, 2], hidden: 64, classes: 8 },
  };
  return {
    ...{ name, family: 'vgg', task: 'classify', config, build: buildVgg, preprocess: plainPreprocess(64) },
  };
}

function swin(
  name: string,
  [width, depths, heads]: readonly [width: number, depths: readonly number[], heads: readonly number[]],
  about: Published | null,
  small: Partial<SwinConfig> = {},
): ModelDef<SwinConfig> {
  const config: SwinConfig = {
    ...{ image: [224, 224], patch: [4, 4], channels: 3, width, depths, heads, window: [7, 7], mlpRatio: 4 },
    ...{ classes: 1000, eps: 1e-5, activation: 'gelu', qkvBias: true, naming: 'transformers' },
    ...small,
  };
  return {
    ...{ name, family: 'swin', task: 'classify', config, build: buildSwin },
    ...(about && { published: about }),
    preprocess: about ? swinPreprocess() : plainPreprocess(config.image[0]),
  };
}

function convnext(
  name: string,
  widths: readonly number[],
  depths: readonly number[],
  about: Published | null,
  small: Partial<ConvNextConfig> = {},
): ModelDef<ConvNextConfig> {
  const config: ConvNextConfig = {
    ...{ image: [224, 224], patch: [4, 4], channels: 3, widths, depths, classes: 1000, activation: 'gelu' },
    ...{ layerScale: true, headEps: 1e-12, naming: 'transformers' },
    ...small,
  };
  return {
    ...{ name, family: 'convnext', task: 'classify', config, build: buildConvNext },
    ...(about && { published: about }),
    preprocess: about ? convnextPreprocess() : plainPreprocess(config.image[0]),
  };
}

const WIDTHS = [64, 128, 256, 512, 512];
const VGG_11 = stages([1, 1, 2, 2, 2], WIDTHS);
const VGG_13 = stages([2, 2, 2, 2, 2], WIDTHS);
const VGG_16 = stages([2, 2, 3, 3, 3], WIDTHS);
const VGG_19 = stages([2, 2, 4, 4, 4], WIDTHS);

export const CONVNET_MODELS: readonly ModelDef[] = [
  alexnet('alexnet', published(61_100_840, 0.714, `${COUNT} and _ops`)),
  alexnet('alexnet-tiny', null, {
    ...{ image: [64, 64], classes: 8, widths: [16, 32, 48, 32, 32], pool: [1, 1], hidden: 64 },
  }),
  vgg('vgg-11', VGG_11, published(132_863_336, 7.61)),
  vgg('vgg-13', VGG_13, published(133_047_848, 11.31)),
  vgg('vgg-16', VGG_16, published(138_357_544, 15.47)),
  vgg('vgg-19', VGG_19, published(143_667_240, 19.63)),
  tinyVgg('vgg-tiny', false),
  vgg('vgg-11-bn', VGG_11, published(132_868_840, 7.62)),
  vgg('vgg-13-bn', VGG_13, published(133_053_736, 11.33)),
  vgg('vgg-16-bn', VGG_16, published(138_365_992, 15.5)),
  vgg('vgg-19-bn', VGG_19, published(143_678_248, 19.66)),
  tinyVgg('vgg-bn-tiny', true),
  swin('swin-t', [96, [2, 2, 6, 2], [3, 6, 12, 24]], published(28_288_354, 4.51)),
  swin('swin-s', [96, [2, 2, 18, 2], [3, 6, 12, 24]], published(49_606_258, 8.77)),
  swin('swin-b', [128, [2, 2, 18, 2], [4, 8, 16, 32]], published(87_768_224, 15.47)),
  // Grids of 16, 8 and 4: two stages that shift and one that a window covers.
  swin('swin-tiny', [32, [2, 2, 2], [2, 4, 8]], null, { image: [64, 64], window: [4, 4], classes: 8 }),
  convnext('convnext-t', [96, 192, 384, 768], [3, 3, 9, 3], published(28_589_128, 4.47)),
  convnext('convnext-s', [96, 192, 384, 768], [3, 3, 27, 3], published(50_223_688, 8.71)),
  convnext('convnext-b', [128, 256, 512, 1024], [3, 3, 27, 3], published(88_591_464, 15.38)),
  convnext('convnext-l', [192, 384, 768, 1536], [3, 3, 27, 3], published(197_767_336, 34.4)),
  convnext('convnext-tiny', [16, 32, 64, 128], [1, 1, 1, 1], null, { image: [64, 64], classes: 8 }),
];
