import type { ImagePreprocess } from '../core/model.ts';

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const HALVES = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
/** Of the images that OpenAI trained on. */
const OPENAI = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
} as const;
const square = (size: number) => ({ height: size, width: size });

/** torchvision's references: resize the shorter edge to 256, crop 224. */
export const TORCHVISION: ImagePreprocess = {
  resize: { shortest: 256 },
  kernel: 'bilinear',
  crop: { ...square(224), rounding: 'even' },
  ...IMAGENET,
};

/** The preprocessor_config.json of google/vit-*-patch16-224. */
export const VIT: ImagePreprocess = { resize: square(224), kernel: 'bilinear', ...HALVES };

/** The preprocessor_config.json of facebook/deit-*-patch16-224. */
export const DEIT: ImagePreprocess = {
  resize: square(256),
  kernel: 'bicubic',
  crop: square(224),
  ...IMAGENET,
};

/** The preprocessor_config.json of openai/clip-vit-*. */
export const clipPreprocess = (size: number): ImagePreprocess => ({
  resize: { shortest: size },
  kernel: 'bicubic',
  crop: square(size),
  ...OPENAI,
});

/** For the small members, which see whole square images. */
export const plainPreprocess = (size: number): ImagePreprocess => ({
  resize: square(size),
  kernel: 'bilinear',
  ...HALVES,
});
