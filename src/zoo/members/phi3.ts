import type { ModelDef, Published } from '../../core/model.ts';
import { phi3Crops } from '../../core/processors.ts';
import { buildDecoder, type DecoderConfig } from '../decoder.ts';
import { buildPhi3Vision, type Phi3VisionConfig } from '../phi3-vision.ts';
import { clipTower } from './clips.ts';
import { LONG_FACTORS, SHORT_FACTORS_MINI, SHORT_FACTORS_VISION } from './phi3-factors.ts';

/* Phi-3.5 as Microsoft published it in August 2024. Graphs give the logits of the last position. */

const phi3 = (short: readonly number[]): DecoderConfig => ({
  ...{ vocabulary: 32064, width: 3072, depth: 32, heads: 32, kvHeads: 32, headWidth: 96, mlpWidth: 8192 },
  ...{ eps: 1e-5, activation: 'silu', context: 131072, fused: true, tied: false, logits: 'last' },
  ...{ qkvBias: false, outputBias: false, mlpBias: false },
  rotary: { theta: 1e4, short, long: LONG_FACTORS, original: 4096, extended: 131072 },
});

const TINY: DecoderConfig = {
  ...phi3([]),
  ...{ vocabulary: 512, width: 64, depth: 2, heads: 4, kvHeads: 4, headWidth: 16, mlpWidth: 128 },
  ...{ context: 512 },
  rotary: {
    ...{ theta: 1e4, original: 128, extended: 512 },
    short: [1, 1.02, 1.05, 1.1, 1.2, 1.4, 1.8, 2],
    long: [1.1, 1.3, 1.6, 3, 7, 20, 40, 60],
  },
};

function text(name: string, config: DecoderConfig, published?: Published): ModelDef<DecoderConfig> {
  return {
    ...{ name, family: 'phi3', task: 'generate', config, build: buildDecoder },
    ...(published && { published }),
    dims: { sequence: 128, past: 0 },
  };
}

function vision(
  name: string,
  parts: Pick<Phi3VisionConfig, 'vision' | 'text'>,
  published?: Published,
): ModelDef<Phi3VisionConfig> {
  const config: Phi3VisionConfig = { ...parts, featureLayer: -2, globalFirst: false };
  return {
    ...{ name, family: 'phi3-vision', task: 'generate', config, build: buildPhi3Vision },
    ...(published && { published }),
    tiling: phi3Crops(parts.vision.image[0]),
    parts: {
      vision: ['model.vision_embed_tokens.img_processor'],
      'cross-modal': ['img_projection', 'glb_GN', 'sub_GN'].map(
        (part) => `model.vision_embed_tokens.${part}`,
      ),
      text: ['model.layers', 'model.norm', 'model.embed_tokens', 'lm_head'],
    },
    // What four crops make of an image of 640 × 480.
    dims: { sequence: 128, past: 0, rows: 2, columns: 2 },
  };
}

export const PHI3_MODELS: readonly ModelDef[] = [
  text('phi-3.5-mini', phi3(SHORT_FACTORS_MINI), {
    parameters: 3_821_079_552,
    source: 'microsoft/Phi-3.5-mini-instruct on the Hugging Face hub; keras-hub phi3 preset',
  }),
  text('phi-3.5-tiny', TINY),
  vision(
    'phi-3.5-vision',
    { vision: clipTower(1024, 24, 14, 336), text: phi3(SHORT_FACTORS_VISION) },
    {
      parameters: 4_146_621_440,
      source: 'microsoft/Phi-3.5-vision-instruct: total of the safetensors on the Hugging Face hub',
    },
  ),
  vision('phi-3.5-vision-tiny', { vision: clipTower(64, 3, 8, 32), text: TINY }),
];
