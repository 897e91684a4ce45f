import type { CropsPreprocess, ImagePreprocess, PatchesPreprocess } from './model.ts';

/* The image processors that checkpoints were published with. Each says whose. */

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
export const HALVES = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
const OPENAI = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
} as const;

/** Both edges of this many pixels. */
export const square = (size: number) => ({ height: size, width: size });

/** torchvision's classification preset: `Resize(256)`, `CenterCrop(224)` (references/classification/presets.py). */
export const torchvisionPreprocess = (crop = 224, shortest = 256): ImagePreprocess => ({
  resize: { shortest },
  kernel: 'bilinear',
  crop: { ...square(crop), rounding: 'even' },
  ...IMAGENET,
});

/** `google/vit-base-patch16-224`: ViTImageProcessor. */
export const vitPreprocess = (size = 224): ImagePreprocess => ({
  resize: square(size),
  kernel: 'bilinear',
  ...HALVES,
});

/** `facebook/deit-*-patch16-224`: DeiTImageProcessor (resize to a 256 square, not to the shorter edge). */
export const deitPreprocess = (crop = 224, resize = 256): ImagePreprocess => ({
  resize: square(resize),
  kernel: 'bicubic',
  crop: square(crop),
  ...IMAGENET,
});

/** `openai/clip-vit-*`: CLIPImageProcessor. */
export const clipPreprocess = (size = 224): ImagePreprocess => ({
  resize: { shortest: size },
  kernel: 'bicubic',
  crop: square(size),
  ...OPENAI,
});

/** timm's classifiers on CLIP's towers with `crop_mode='squash'`: the whole image, warped to the square. */
export const squashedClipPreprocess = (size = 224): ImagePreprocess => ({
  resize: square(size),
  kernel: 'bicubic',
  ...OPENAI,
});

/** `google/siglip-*`: SiglipImageProcessor. */
export const siglipPreprocess = (size = 224): ImagePreprocess => ({
  resize: square(size),
  kernel: 'bicubic',
  ...HALVES,
});

/** `microsoft/swin-*`: a ViTImageProcessor with bicubic kernel and ImageNet's statistics. */
export const swinPreprocess = (size = 224): ImagePreprocess => ({
  resize: square(size),
  kernel: 'bicubic',
  ...IMAGENET,
});

/**
 * `facebook/convnext-*`: ConvNextImageProcessor. Below 384 pixels the shorter edge becomes ⌊size ÷ crop_pct⌋ and the
 * centre is cropped; from 384 on the image is warped to the square.
 */
export const convnextPreprocess = (size = 224, cropPct = 224 / 256): ImagePreprocess =>
  size < 384
    ? { resize: { shortest: Math.trunc(size / cropPct) }, kernel: 'bicubic', crop: square(size), ...IMAGENET }
    : { resize: square(size), kernel: 'bicubic', ...IMAGENET };

/** `microsoft/Phi-3.5-vision-instruct`: Phi3VImageProcessor with as many crops as its card gives a single image. */
export const phi3Crops = (side = 336, maxCrops = 16): CropsPreprocess => ({
  ...{ kind: 'crops', side, maxCrops, kernel: 'bilinear' },
  ...OPENAI,
});

/** For small models of our own, which see whole square images. */
export const plainPreprocess = (size: number): ImagePreprocess => ({
  resize: square(size),
  kernel: 'bilinear',
  ...HALVES,
});

/**
 * `Qwen/Qwen2-VL-*-Instruct`: Qwen2VLImageProcessor with the limits that the checkpoints publish. The largest image,
 * 12.8 megapixels, is 16,384 tokens; `maxPixels` bounds what that costs.
 */
export const qwen2VlPreprocess = (limits: Partial<PatchesPreprocess> = {}): PatchesPreprocess => ({
  kind: 'patches',
  ...{ patch: 14, merge: 2, temporal: 2, minPixels: 56 * 56, maxPixels: 12_845_056 },
  kernel: 'bicubic',
  ...OPENAI,
  ...limits,
});

/** Whole images as the bytes that they are, 0…255: for features by rule. */
export const bytesPreprocess = (size: number): ImagePreprocess => ({
  resize: square(size),
  kernel: 'bilinear',
  ...{ mean: [0, 0, 0], std: [1, 1, 1], rescale: 1 },
});

/** timm's `davit_*.msft_in1k`: 95 % of the shorter edge. */
export const davitPreprocess = (size = 224): ImagePreprocess => ({
  resize: { shortest: Math.floor(size / 0.95) },
  kernel: 'bicubic',
  crop: square(size),
  ...IMAGENET,
});

/** `microsoft/Florence-2-*`: a CLIPImageProcessor without crop, with ImageNet's statistics. */
export const florencePreprocess = (size = 768): ImagePreprocess => ({
  resize: square(size),
  kernel: 'bicubic',
  ...IMAGENET,
});
