import type { ModelDef, Published } from '../../core/model.ts';
import { clipPreprocess } from '../../core/processors.ts';
import { buildDecoder, DECODER_PARTS, type DecoderConfig } from '../decoder.ts';
import { buildLlava, LLAVA_PARTS, type LlavaConfig } from '../llava.ts';
import { clipTower } from './clips.ts';

/* Language models and the vision-language models around them. Their graphs give the logits of the last position. */

interface Shape {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly mlpWidth: number;
  readonly vocabulary: number;
}

export const qwen2 = (shape: Shape, tied: boolean): DecoderConfig => ({
  ...shape,
  ...{ headWidth: shape.width / shape.heads, eps: 1e-6, activation: 'silu', context: 131072 },
  ...{ rotary: { theta: 1e6, factor: 1 }, qkvBias: true, outputBias: false, mlpBias: false },
  ...{ tied, logits: 'last' },
});

const llama = (shape: Shape): DecoderConfig => ({
  ...shape,
  ...{ headWidth: shape.width / shape.heads, eps: 1e-5, activation: 'silu', context: 4096 },
  ...{ rotary: { theta: 1e4, factor: 1 }, qkvBias: false, outputBias: false, mlpBias: false },
  ...{ tied: false, logits: 'last' },
});

const QWEN2_05B = qwen2(
  { width: 896, depth: 24, heads: 14, kvHeads: 2, mlpWidth: 4864, vocabulary: 151936 },
  true,
);
const QWEN2_01B = qwen2(
  { width: 640, depth: 12, heads: 10, kvHeads: 2, mlpWidth: 2560, vocabulary: 32768 },
  true,
);
const TINY = { width: 64, depth: 2, heads: 4, kvHeads: 2, mlpWidth: 128, vocabulary: 512 };
const QWEN2_TINY = qwen2(TINY, true);
const VICUNA_7B = { width: 4096, depth: 32, heads: 32, kvHeads: 32, mlpWidth: 11008, vocabulary: 32000 };
const VICUNA_13B = { width: 5120, depth: 40, heads: 40, kvHeads: 40, mlpWidth: 13824, vocabulary: 32000 };

/** What costs are counted at: a prompt of 128 tokens. */
export const PROMPT = { sequence: 128, past: 0 };

function decoder(
  name: string,
  family: 'qwen2' | 'llama',
  config: DecoderConfig,
  published?: Published,
): ModelDef<DecoderConfig> {
  return {
    ...{ name, family, task: 'generate', config, build: buildDecoder, dims: PROMPT, parts: DECODER_PARTS },
    ...(published && { published }),
  };
}

function llava(
  name: string,
  parts: Pick<LlavaConfig, 'vision' | 'text' | 'imageToken'>,
  published?: Published,
): ModelDef<LlavaConfig> {
  const config: LlavaConfig = {
    ...parts,
    ...{ featureLayer: -2, keepClassToken: false, projectorActivation: 'gelu' },
  };
  return {
    ...{
      name,
      family: 'llava',
      task: 'generate',
      config,
      build: buildLlava,
      dims: PROMPT,
      parts: LLAVA_PARTS,
    },
    ...(published && { published }),
    preprocess: clipPreprocess(config.vision.image[0]),
  };
}

const HUB = 'total of the safetensors on the Hugging Face hub';

export const LANGUAGE_MODELS: readonly ModelDef[] = [
  decoder('qwen2-0.5b', 'qwen2', QWEN2_05B, { parameters: 494_032_768, source: HUB }),
  decoder(
    'qwen2-1.5b',
    'qwen2',
    qwen2({ width: 1536, depth: 28, heads: 12, kvHeads: 2, mlpWidth: 8960, vocabulary: 151936 }, true),
    { parameters: 1_543_714_304, source: HUB },
  ),
  decoder(
    'qwen2-7b',
    'qwen2',
    qwen2({ width: 3584, depth: 28, heads: 28, kvHeads: 4, mlpWidth: 18944, vocabulary: 152064 }, false),
    { parameters: 7_615_616_512, source: HUB },
  ),
  decoder(
    'qwen2-72b',
    'qwen2',
    qwen2({ width: 8192, depth: 80, heads: 64, kvHeads: 8, mlpWidth: 29568, vocabulary: 152064 }, false),
    {
      parameters: 72_706_203_648,
      source: 'keras-hub preset params of Qwen2.5-72B, which has the same shapes',
    },
  ),
  // No published model: a Qwen2 of a size that a two-core machine generates with at reading speed.
  decoder('qwen2-0.1b', 'qwen2', QWEN2_01B),
  decoder('qwen2-tiny', 'qwen2', QWEN2_TINY),
  decoder('vicuna-7b', 'llama', llama(VICUNA_7B), {
    parameters: 6_738_415_616,
    source: 'lmsys/vicuna-7b-v1.5 on the Hugging Face hub; keras-hub llama_7b',
  }),
  decoder('vicuna-13b', 'llama', llama(VICUNA_13B), {
    parameters: 13_015_864_320,
    source: 'tables of model sizes, for lmsys/vicuna-13b-v1.5 and for Llama-2-13B, which it is a tuning of',
  }),
  decoder('llama-tiny', 'llama', llama(TINY)),
  decoder('vicuna-tiny', 'llama', llama({ ...TINY, kvHeads: TINY.heads })),
  llava(
    'llava-1.5-7b',
    {
      vision: clipTower(1024, 24, 14, 336),
      text: llama({ ...VICUNA_7B, vocabulary: 32064 }),
      imageToken: 32000,
    },
    { parameters: 7_063_427_072, source: 'llava-hf/llava-1.5-7b-hf on the Hugging Face hub' },
  ),
  // 13,351,494,656 parameters with the vocabulary padded as in the 7B files; no table that states a count was found.
  llava('llava-1.5-13b', {
    vision: clipTower(1024, 24, 14, 336),
    text: llama({ ...VICUNA_13B, vocabulary: 32064 }),
    imageToken: 32000,
  }),
  // No published models: LLaVA's recipe around a Qwen2. The tower is CLIP's ViT-B/16 at 224 px (196 image tokens), so that
  // the vision part stays small beside the language model.
  llava('llava-qwen2-0.5b', { vision: clipTower(768, 12, 16), text: QWEN2_05B, imageToken: 151646 }),
  // Here the tower is as wide and deep as ViT-S/16.
  llava('llava-qwen2-0.1b', { vision: clipTower(384, 12, 16), text: QWEN2_01B, imageToken: 32767 }),
  llava('llava-tiny', { vision: clipTower(64, 3, 8, 64), text: QWEN2_TINY, imageToken: 511 }),
];
