import * as z from 'zod';
import { VersusError } from '../core/errors.ts';
import type { ImagePreprocess, PatchesPreprocess } from '../core/model.ts';
import { convnextPreprocess, HALVES, qwen2VlPreprocess, square } from '../core/processors.ts';

const edge = z.number().int().min(1).max(16384);
const box = z.union([
  edge,
  z.object({ height: edge, width: edge }),
  z.object({ shortest_edge: edge, longest_edge: edge.optional() }),
]);
const triple = z.tuple([z.number(), z.number(), z.number()]);
const normalised = {
  do_normalize: z.boolean().optional(),
  image_mean: triple.optional(),
  image_std: triple.optional(),
};
const schema = z.object({
  image_processor_type: z.string().max(200).optional(),
  feature_extractor_type: z.string().max(200).optional(),
  do_resize: z.boolean().optional(),
  size: box.optional(),
  resample: z.number().int().optional(),
  crop_pct: z.number().positive().max(1).nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: box.nullish(),
  do_rescale: z.boolean().optional(),
  rescale_factor: z.number().optional(),
  ...normalised,
});
type ProcessorConfig = z.infer<typeof schema>;

/** Pillow's numbers: 2 is BILINEAR, 3 is BICUBIC. */
const PILLOW_KERNELS: Readonly<Record<number, ImagePreprocess['kernel']>> = { 2: 'bilinear', 3: 'bicubic' };

function resizeOf(config: ProcessorConfig, kind: string): ImagePreprocess['resize'] {
  const size = config.size ?? 224;
  if (typeof size === 'object') {
    return 'height' in size ? { height: size.height, width: size.width } : { shortest: size.shortest_edge };
  }
  // Before transformers 4.26 a bare number meant the shorter edge for CLIP and ConvNeXt and a square for the others.
  return /clip|convnext/i.test(kind) && !/siglip/i.test(kind) ? { shortest: size } : square(size);
}

function cropOf(config: ProcessorConfig): ImagePreprocess['crop'] {
  const size = config.crop_size ?? 224;
  if (typeof size === 'number') return square(size);
  return 'height' in size ? { height: size.height, width: size.width } : square(size.shortest_edge);
}

const CONFIG_FILE = 'preprocessor_config.json';
const QWEN2_VL = /qwen2_?vl/i;

/** @throws VersusError `input` naming the first field that is wrong */
function parsed<T>(shape: z.ZodType<T>, json: unknown, where: string): T {
  const result = shape.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new VersusError('input', `not an image processor: ${issue.message}`, {
    where: `${where}: ${issue.path.join('.') || '(root)'}`,
    next: 'use the preprocessor_config.json that lies beside the checkpoint',
  });
}

/**
 * Reads a Hugging Face `preprocessor_config.json` (already parsed) as an `ImagePreprocess`. `where` names the file in errors.
 *
 * @throws VersusError `input` when a field has the wrong type, `unsupported` for a kernel or a processor with dynamic size.
 */
export function fromProcessorConfig(json: unknown, where = CONFIG_FILE): ImagePreprocess {
  const config = parsed(schema, json, where);
  const kind = config.image_processor_type ?? config.feature_extractor_type ?? '';
  const convnext = /convnext/i.test(kind);
  const kernel = PILLOW_KERNELS[config.resample ?? (convnext || /clip|deit|siglip/i.test(kind) ? 3 : 2)];
  if (QWEN2_VL.test(kind)) {
    throw new VersusError('unsupported', `image processor ${kind} is not a fixed resize: it cuts patches`, {
      where,
      next: 'read it as a tiling (fromPatchesConfig), and give it to the model as `tiling`',
    });
  }
  if (!kernel || config.do_resize === false) {
    throw new VersusError('unsupported', `image processor ${kind || '(unnamed)'} is not a fixed resize`, {
      where,
      next: 'supported are resample 2 (bilinear) and 3 (bicubic) with a fixed size or shorter edge',
    });
  }
  const normalise = config.do_normalize ?? true;
  const rest = {
    mean: normalise ? (config.image_mean ?? HALVES.mean) : ([0, 0, 0] as const),
    std: normalise ? (config.image_std ?? HALVES.std) : ([1, 1, 1] as const),
    rescale: config.do_rescale === false ? 1 : (config.rescale_factor ?? 1 / 255),
  };
  const resize = resizeOf(config, kind);
  if (convnext && 'shortest' in resize) {
    const { resize: own, crop } = convnextPreprocess(resize.shortest, config.crop_pct ?? undefined);
    return { resize: own, kernel, ...(crop ? { crop } : {}), ...rest };
  }
  const cropped = config.do_center_crop ?? /clip|deit/i.test(kind.replace(/siglip/i, ''));
  const crop = cropped ? cropOf(config) : undefined;
  return { resize, kernel, ...(crop ? { crop } : {}), ...rest };
}

const pixels = z.number().int().min(1).max(1e9);
const patchesSchema = z.object({
  image_processor_type: z.string().max(200),
  patch_size: z.number().int().min(1).max(1024).default(14),
  merge_size: z.number().int().min(1).max(64).default(2),
  temporal_patch_size: z.number().int().min(1).max(64).default(2),
  min_pixels: pixels.default(56 * 56),
  max_pixels: pixels.default(28 * 28 * 1280),
  resample: z.number().int().default(3),
  do_resize: z.literal(true).optional(),
  do_rescale: z.literal(true).optional(),
  ...normalised,
});

/**
 * Reads the `preprocessor_config.json` (already parsed) of a Qwen2-VL, with the defaults of Qwen2VLImageProcessor 4.45.2.
 *
 * @throws VersusError `input` when a field is wrong, `unsupported` for another processor or kernel.
 */
export function fromPatchesConfig(json: unknown, where = CONFIG_FILE): PatchesPreprocess {
  const config = parsed(patchesSchema, json, where);
  const kernel = PILLOW_KERNELS[config.resample];
  if (!QWEN2_VL.test(config.image_processor_type) || !kernel) {
    const what = `image processor ${config.image_processor_type} with resample ${config.resample}`;
    throw new VersusError('unsupported', `${what} makes no patches that are understood`, {
      where,
      next: 'supported is Qwen2VLImageProcessor with resample 2 (bilinear) or 3 (bicubic)',
    });
  }
  const normalise = config.do_normalize ?? true;
  const published = qwen2VlPreprocess();
  return {
    ...{ kind: 'patches', kernel, patch: config.patch_size, merge: config.merge_size },
    ...{ temporal: config.temporal_patch_size, minPixels: config.min_pixels, maxPixels: config.max_pixels },
    mean: normalise ? (config.image_mean ?? published.mean) : [0, 0, 0],
    std: normalise ? (config.image_std ?? published.std) : [1, 1, 1],
  };
}
