import { measuredStep } from '../../scripts/step-memory.ts';
import { int64 } from '../../src/core/tensor.ts';
import { forwardOf } from '../../src/training/forward/index.ts';
import { addLora } from '../../src/transform/lora.ts';
import { buildDecoder, DECODER_PARTS, type DecoderConfig } from '../../src/zoo/decoder.ts';

/* Steps of a small language model, all of it, adapters in it, or all of it within three quarters of the memory, in a process of their own: its memory as JSON. */

const [how, cacheDir] = process.argv.slice(2);
const config: DecoderConfig = {
  ...{ vocabulary: 1024, width: 256, depth: 2, heads: 4, kvHeads: 4, headWidth: 64, mlpWidth: 704 },
  ...{ eps: 1e-5, activation: 'silu', context: 512, rotary: { theta: 1e4, factor: 1 } },
  ...{ qkvBias: false, outputBias: false, mlpBias: false, tied: false, logits: 'all' },
};
const built = await buildDecoder(config);
const spec = { r: 8, alpha: 16, targets: ['q_proj', 'v_proj'] };
const lora = how === 'lora' ? addLora(built, spec, { model: 'small' }) : null;
const model = {
  ...({
    name: `small-${how}`,
    family: 'llama',
    task: 'generate',
    config,
    dims: {},
    parts: DECODER_PARTS,
  } as const),
  build: buildDecoder,
};
const forward = await forwardOf(model, lora?.graphs ?? built, { batch: 16, sequence: 128 });
const all = forward.graph.params.filter((p) => p.role === 'weight').map((p) => p.name);
const ids = int64(
  [16, 128],
  Array.from({ length: 2048 }, (_, i) => (i * 7919 + 13) % config.vocabulary),
);
const trainable = new Set(lora?.trained ?? all);
const measured = await measuredStep(
  { model, forward, trainable, batch: { input_ids: ids, labels: ids } },
  cacheDir!,
  how === 'again' ? 0.75 : 1,
);
process.stdout.write(JSON.stringify(measured));
