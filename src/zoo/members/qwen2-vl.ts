import type { ModelDef, PatchesPreprocess, Published } from '../../core/model.ts';
import { qwen2VlPreprocess } from '../../core/processors.ts';
import type { DecoderConfig } from '../decoder.ts';
import { buildQwen2Vl, QWEN2_VL_PARTS, type Qwen2VlConfig, type Qwen2VlVision } from '../qwen2-vl.ts';
import { PROMPT, qwen2 } from './language.ts';

/* Qwen2-VL. All published sizes have the same tower; only its last layer is as wide as the language model. */

const TOWER: Qwen2VlVision = {
  ...{ width: 1280, depth: 32, heads: 16, mlpWidth: 5120, eps: 1e-6, activation: 'quick_gelu' },
  ...{ channels: 3, patch: 14, temporal: 2, merge: 2 },
};
const TINY_TOWER: Qwen2VlVision = { ...TOWER, width: 32, depth: 2, heads: 2, mlpWidth: 64 };

/** A Qwen2 whose rotary pairs are shared out to time, row and column. */
const text = (
  shape: Parameters<typeof qwen2>[0],
  tied: boolean,
  sections: readonly [time: number, row: number, column: number],
): DecoderConfig => ({
  ...qwen2(shape, tied),
  rotary: { theta: 1e6, factor: 1, sections },
  context: 32768,
});

/** What costs are counted at: an image of 448 × 448 pixels, which is 1,024 patches, beside a prompt. */
const SIZES = { ...PROMPT, tokens: 256 };

function qwen2Vl(
  name: string,
  config: Qwen2VlConfig,
  published?: Published,
  limits?: Partial<PatchesPreprocess>,
): ModelDef<Qwen2VlConfig> {
  return {
    ...{ name, family: 'qwen2-vl', task: 'generate', config, build: buildQwen2Vl },
    ...(published && { published }),
    tiling: qwen2VlPreprocess(limits),
    ...{ dims: SIZES, parts: QWEN2_VL_PARTS },
  };
}

const TABLE = 'a public table of the hub’s totals, for the Instruct checkpoints';
const IMAGE = 151655;
const SECTIONS = [16, 24, 24] as const;

export const QWEN2_VL_MODELS: readonly ModelDef[] = [
  qwen2Vl(
    'qwen2-vl-2b',
    {
      vision: TOWER,
      text: text(
        { width: 1536, depth: 28, heads: 12, kvHeads: 2, mlpWidth: 8960, vocabulary: 151936 },
        true,
        SECTIONS,
      ),
      imageToken: IMAGE,
    },
    { parameters: 2_208_985_600, source: 'n_parameters in mteb’s model metadata' },
  ),
  qwen2Vl(
    'qwen2-vl-7b',
    {
      vision: TOWER,
      text: text(
        { width: 3584, depth: 28, heads: 28, kvHeads: 4, mlpWidth: 18944, vocabulary: 152064 },
        false,
        SECTIONS,
      ),
      imageToken: IMAGE,
    },
    { parameters: 8_291_375_616, source: TABLE },
  ),
  qwen2Vl(
    'qwen2-vl-72b',
    {
      vision: TOWER,
      text: text(
        { width: 8192, depth: 80, heads: 64, kvHeads: 8, mlpWidth: 29568, vocabulary: 152064 },
        false,
        SECTIONS,
      ),
      imageToken: IMAGE,
    },
    { parameters: 73_405_560_320, source: TABLE },
  ),
  qwen2Vl(
    'qwen2-vl-tiny',
    {
      vision: TINY_TOWER,
      text: text(
        { width: 64, depth: 2, heads: 4, kvHeads: 2, mlpWidth: 128, vocabulary: 512 },
        true,
        [2, 3, 3],
      ),
      imageToken: 511,
    },
    undefined,
    { maxPixels: 448 * 448 },
  ),
];
