import type { ModelDef } from '../src/core/model.ts';
import { int64, type Tensors, tensor } from '../src/core/tensor.ts';
import { type Forward, forwardOf } from '../src/training/forward/index.ts';
import { addLora } from '../src/transform/lora.ts';
import { buildDecoder, DECODER_PARTS, type DecoderConfig } from '../src/zoo/decoder.ts';
import { findModel } from '../src/zoo/index.ts';

/** The models of scripts/torch-baselines.py, with the batch that each trains on. */
export interface TrainingCase {
  readonly model: ModelDef;
  readonly forward: Forward;
  readonly trainable: ReadonlySet<string>;
  readonly batch: Tensors;
}

const LLAMA: DecoderConfig = {
  ...{ vocabulary: 32000, width: 512, depth: 8, heads: 8, kvHeads: 8, headWidth: 64, mlpWidth: 1376 },
  ...{ eps: 1e-5, activation: 'silu', context: 4096, rotary: { theta: 1e4, factor: 1 } },
  ...{ qkvBias: false, outputBias: false, mlpBias: false, tied: false, logits: 'all' },
};
const llama: ModelDef<DecoderConfig> = {
  ...{ name: 'llama-60m', family: 'llama', task: 'generate', config: LLAMA },
  ...{ build: buildDecoder, dims: {}, parts: DECODER_PARTS },
};

export const TRAINING_CASES: Readonly<Record<string, () => Promise<TrainingCase>>> = {
  'vit-s': () => images('deit-s-16'),
  'resnet-18': () => images('resnet-18'),
  'llama-60m': () => text(false),
  'llama-60m-lora': () => text(true),
};

async function images(name: string): Promise<TrainingCase> {
  const model = findModel(name)!;
  const forward = await forwardOf(model, await model.build(model.config), { batch: 8 });
  const pixels = Float32Array.from({ length: 8 * 3 * 224 * 224 }, (_, i) => Math.sin(i * 0.37) * 1.4);
  const labels = Array.from({ length: 8 }, (_, i) => (i * 131) % 1000);
  return {
    ...{ model, forward, trainable: weightsOf(forward) },
    batch: { pixel_values: tensor('float32', [8, 3, 224, 224], pixels), labels: int64([8], labels) },
  };
}

async function text(adapters: boolean): Promise<TrainingCase> {
  const built = await buildDecoder(LLAMA);
  const lora = adapters
    ? addLora(built, { r: 8, alpha: 16, targets: ['q_proj', 'v_proj'] }, { model: llama.name })
    : null;
  const forward = await forwardOf(llama, lora?.graphs ?? built, { batch: 4, sequence: 128 });
  const ids = Array.from({ length: 512 }, (_, i) => (i * 7919 + 13) % LLAMA.vocabulary);
  const tokens = int64([4, 128], ids);
  return {
    ...{ model: llama, forward, trainable: lora ? new Set(lora.trained) : weightsOf(forward) },
    batch: { input_ids: tokens, labels: tokens },
  };
}

const weightsOf = ({ graph }: Forward): Set<string> =>
  new Set(graph.params.filter((p) => p.role === 'weight').map((p) => p.name));
