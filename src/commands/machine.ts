import { totalmem } from 'node:os';
import type { Backend, Session } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import type { Tensors } from '../core/tensor.ts';
import type { Device } from '../estimate/devices.ts';
import { prepareArtifacts } from '../weights/index.ts';
import { graphMacs } from '../workloads/cost.ts';
import { concrete, drawImages } from '../workloads/inputs.ts';
import { convPeak, matmulPeak, streamPeak } from '../workloads/peak.ts';

const BACKEND = 'onnxruntime-cpu';
const REPETITIONS = 8;

/**
 * This machine as a device, its peaks measured now on its fastest CPU backend: the faster of a chain of products and one of
 * convolutions, and the reading of weights that no cache holds. The fastest repetition counts; it takes some seconds.
 */
export async function thisMachine(
  backends: readonly Backend[],
  cache: { readonly cacheDir: string; readonly maxBytes: number },
  say: (text: string) => void,
): Promise<Device> {
  const backend = backends.find((b) => b.name === BACKEND);
  const availability = await backend?.probe();
  if (!backend || !availability?.available) {
    throw new VersusError(
      'infrastructure',
      `this machine's peaks are measured on ${BACKEND}, which is not here`,
      {
        next: "add onnxruntime('cpu') to backends in the config, or name another device with --device",
      },
    );
  }
  say("measuring this machine's peaks");
  const { flops, bandwidth } = await measuredPeaks(backend, cache);
  return {
    ...{ name: 'this', label: availability.device.name, memory: totalmem() },
    flops: { fp32: flops, fp16: null },
    bandwidth,
    source: `measured now on ${BACKEND} ${availability.version}`,
  };
}

/**
 * The most that a backend reaches in float32, in FLOP/s and bytes/s: the faster of a chain of products and one of convolutions,
 * and the reading of weights that no cache holds. Takes seconds, minutes where a GPU is emulated.
 */
export async function measuredPeaks(
  backend: Backend,
  cache: { readonly cacheDir: string; readonly maxBytes: number },
): Promise<{ readonly flops: number; readonly bandwidth: number }> {
  const rates: number[] = [];
  for (const model of [matmulPeak as ModelDef, convPeak as ModelDef]) {
    const macs = (await graphMacs(model, 'model', () => ({}))) ?? 0;
    rates.push((2 * macs) / (await fastest(backend, model, cache)));
  }
  const streamed = 4 * streamPeak.config.size ** 2;
  return {
    flops: Math.max(...rates),
    bandwidth: streamed / (await fastest(backend, streamPeak as ModelDef, cache)),
  };
}

/** Seconds of the fastest run. */
async function fastest(
  backend: Backend,
  model: ModelDef,
  cache: { readonly cacheDir: string; readonly maxBytes: number },
): Promise<number> {
  const artifacts = await prepareArtifacts(model, { ...cache, precision: 'fp32' });
  const session: Session = await backend.open(artifacts.model!, { precision: 'fp32' });
  try {
    const feeds: Tensors = {};
    for (const input of session.inputs) feeds[input.name] = drawImages(input, concrete(input, {}), 0);
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < REPETITIONS; i++) {
      const start = performance.now();
      await session.run(feeds);
      best = Math.min(best, performance.now() - start);
    }
    return best / 1000;
  } finally {
    await session.close();
  }
}
