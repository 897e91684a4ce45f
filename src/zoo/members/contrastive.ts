import type { ModelDef, Published } from '../../core/model.ts';
import { clipPreprocess, siglipPreprocess } from '../../core/processors.ts';
import { buildClipResNet, type ClipResNetConfig } from '../clip-resnet.ts';
import type { ClipText } from '../clip-text.ts';
import {
  buildSiglip,
  buildSovit,
  type SiglipConfig,
  type SiglipVision,
  type SovitConfig,
} from '../siglip.ts';

/*
 * SigLIP and SoViT as Google published them, and OpenAI's CLIPs with residual networks. MACs: open_clip's profile ÷ 2 of one
 * image and one text, timm's table for SoViT.
 */

const DETAILS = { eps: 1e-6, activation: 'gelu_tanh' } as const;

type Shape = readonly [width: number, depth: number, heads: number, mlpWidth: number];
const tower = ([width, depth, heads, mlpWidth]: Shape) => ({ width, depth, heads, mlpWidth, ...DETAILS });

function siglipTower(shape: Shape, patch: number, image: number): SiglipVision {
  return { ...tower(shape), image: [image, image], patch: [patch, patch], channels: 3 };
}

/** Both towers have the same shape; `</s>`, id 1, pads. */
function siglip(
  name: string,
  shape: Shape,
  vision: SiglipVision,
  [vocabulary, context]: readonly [number, number],
  about: Published | null,
): ModelDef<SiglipConfig> {
  const config: SiglipConfig = { vision, text: { ...tower(shape), vocabulary, context } };
  return {
    ...{ name, family: 'siglip', task: 'embed', config, build: buildSiglip },
    ...(about && { published: about }),
    preprocess: siglipPreprocess(vision.image[0]),
    text: { context, pad: 1 },
    dims: { sequence: context, images: 1, texts: 1 },
  };
}

function sovit(name: string, vision: SiglipVision, about: Published | null): ModelDef<SovitConfig> {
  return {
    ...{ name, family: 'sovit', task: 'classify', config: { vision }, build: buildSovit },
    ...(about && { published: about }),
    preprocess: siglipPreprocess(vision.image[0]),
  };
}

const QUICK = { eps: 1e-5, activation: 'quick_gelu' } as const;

function clipResNet(
  name: string,
  vision: ClipResNetConfig['vision'],
  text: ClipResNetConfig['text'],
  projection: number,
  about: Published | null,
): ModelDef<ClipResNetConfig> {
  return {
    ...{ name, family: 'clip', task: 'embed', build: buildClipResNet },
    config: { vision, text, projection },
    ...(about && { published: about }),
    preprocess: clipPreprocess(vision.image[0]),
    dims: { sequence: text.context, images: 1, texts: 1 },
  };
}

const RESNET = { image: [224, 224], channels: 3, width: 64, heads: 32 } as const;
const TEXT: ClipText = {
  ...{ width: 512, depth: 12, heads: 8, mlpWidth: 2048, ...QUICK },
  ...{ vocabulary: 49408, context: 77, endOfText: 'largest' },
};

const SO400M: Shape = [1152, 27, 16, 4304];
const BASE: Shape = [768, 12, 12, 3072];
const TINY: Shape = [64, 3, 4, 172];

/**
 * No MACs: open_clip's profile lets every place of the map ask in the attention pool and throws all answers but one away,
 * which are 3 % of it.
 */
const RESNET_COUNT = "counted by OpenAI's notebook; 102.01 and 119.69 M in open_clip's model_profile";

export const CONTRASTIVE_MODELS: readonly ModelDef[] = [
  sovit('sovit-400m-14-384', siglipTower(SO400M, 14, 384), {
    ...{ parameters: 428_225_600, macs: 335.4e9 },
    source: 'timm results param_count and GMACs, vit_so400m_patch14_siglip_384',
  }),
  sovit('sovit-tiny', siglipTower(TINY, 8, 64), null),
  siglip('siglip-b-16', BASE, siglipTower(BASE, 16, 224), [32000, 64], {
    ...{ parameters: 203_155_970, macs: 23.22e9 },
    source: 'mteb ModelMeta; open_clip model_profile gflops ÷ 2',
  }),
  siglip('siglip-so400m-14-384', SO400M, siglipTower(SO400M, 14, 384), [32000, 64], {
    ...{ parameters: 877_960_498, macs: 361.74e9 },
    source: 'mteb ModelMeta; open_clip model_profile gflops ÷ 2',
  }),
  siglip('siglip-tiny', TINY, siglipTower(TINY, 8, 64), [1024, 32], null),
  clipResNet('clip-rn50', { ...RESNET, depths: [3, 4, 6, 3] }, TEXT, 1024, {
    ...{ parameters: 102_007_137, source: RESNET_COUNT },
  }),
  clipResNet('clip-rn101', { ...RESNET, depths: [3, 4, 23, 3] }, TEXT, 512, {
    ...{ parameters: 119_688_033, source: RESNET_COUNT },
  }),
  clipResNet(
    'clip-rn-tiny',
    { image: [64, 64], channels: 3, width: 16, depths: [1, 2, 1, 1], heads: 8 },
    { ...TEXT, width: 128, depth: 3, heads: 2, mlpWidth: 512, vocabulary: 1024, context: 32 },
    64,
    null,
  ),
];
