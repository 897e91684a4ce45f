import type { ModelDef, Published } from '../../core/model.ts';
import { clipPreprocess } from '../../core/processors.ts';
import { buildClip, CLIP_PARTS, type ClipConfig, type ClipVision } from '../clip.ts';

/* CLIP as OpenAI published it. Counts: keras-hub presets; MACs of one image and one text of 77 tokens: open_clip's profile ÷ 2. */

const KERAS_HUB = 'keras-hub preset params; open_clip model_profile gflops ÷ 2';
const DETAILS = { eps: 1e-5, activation: 'quick_gelu' } as const;

/** A CLIP vision tower: the MLP is four times as wide, a head is 64 wide. */
export function clipTower(width: number, depth: number, patch: number, image = 224): ClipVision {
  return {
    ...{ width, depth, heads: width / 64, mlpWidth: 4 * width, ...DETAILS },
    ...{ image: [image, image], patch: [patch, patch], channels: 3 },
  };
}

function clip(
  name: string,
  vision: ClipVision,
  textWidth: number,
  about: Published | null,
  other: Partial<ClipConfig> = {},
): ModelDef<ClipConfig> {
  const text = {
    ...{ width: textWidth, depth: 12, heads: textWidth / 64, mlpWidth: 4 * textWidth, ...DETAILS },
    ...{ vocabulary: 49408, context: 77, endOfText: 'largest' as const },
  };
  const config: ClipConfig = { vision, text, projection: textWidth, ...other };
  return {
    ...{ name, family: 'clip', task: 'embed', config, build: buildClip, parts: CLIP_PARTS },
    ...(about && { published: about }),
    preprocess: clipPreprocess(vision.image[0]),
    dims: { sequence: config.text.context, images: 1, texts: 1 },
  };
}

const published = (parameters: number, gmacs: number | null): Published => ({
  parameters,
  ...(gmacs !== null && { macs: gmacs * 1e9 }),
  source: KERAS_HUB,
});

export const CLIP_MODELS: readonly ModelDef[] = [
  clip('clip-vit-b-32', clipTower(768, 12, 32), 512, published(151_277_313, 7.39)),
  clip('clip-vit-b-16', clipTower(768, 12, 16), 512, published(149_620_737, null)),
  clip('clip-vit-l-14', clipTower(1024, 24, 14), 768, published(427_616_513, null)),
  clip('clip-vit-l-14-336', clipTower(1024, 24, 14, 336), 768, published(427_944_193, 197.61)),
  clip('clip-tiny', clipTower(128, 3, 8, 64), 128, null, {
    projection: 64,
    text: {
      ...{ width: 128, depth: 3, heads: 2, mlpWidth: 512, ...DETAILS },
      ...{ vocabulary: 1024, context: 32, endOfText: 'largest' },
    },
  }),
];
