import type { ModelDef } from '../core/model.ts';
import { requireNames, unknownName } from '../core/names.ts';
import { DEVICES, type Device } from '../estimate/devices.ts';
import { estimateInference } from '../estimate/index.ts';
import { STORAGES, type StoredAs } from '../estimate/precision.ts';
import { type CommonOptions, cacheDir, lookingContextOf, print, printJson, say } from './context.ts';
import { estimateLines } from './estimate-lines.ts';
import { asksForTraining, type TrainingOptions, trainingEstimate } from './estimate-training.ts';
import { thisMachine } from './machine.ts';
import { dimensionSizes, wholeNumber } from './numbers.ts';
import { atResolution } from './resolution.ts';
import { findModel } from './select.ts';

interface EstimateOptions extends CommonOptions, TrainingOptions {
  readonly device?: readonly string[];
  readonly prompt?: string;
  readonly newTokens: string;
  readonly resolution?: string;
  readonly dim?: readonly string[];
  readonly precision: string;
}

const THIS = 'this';

/** What of an estimate doesn't depend on the device is stated once; `devices` has the times. */
export type EstimateResult = Awaited<ReturnType<typeof estimated>>;

/**
 * `versus estimate MODEL [--json]`: `{ kind: 'estimate', model, family, task, parameters, published, request: { batch, prompt,
 * new_tokens, resolution, precision, image_tokens, context }, weight_bytes: { fp32, fp16, int8, int4 }, cache_bytes_per_token,
 * devices: [{ name, label, source, memory_bytes, fits, memory: { weights, activations, cache, peak, at }, phases: [{ name, items,
 * macs, bytes, seconds, memory_bound }], seconds }], training:
 * { how, scope, optimiser, sizes, memory: { trainable, weights, frozen, gradients, optimiser, activations, transient, arena, peak } }
 * or null }`. Bytes and seconds; `seconds` of a device is the whole request. The memory of training is that of the step that `versus
 * train` would run on onnxruntime's CPU.
 */
export async function estimateCommand(name: string, options: EstimateOptions): Promise<number> {
  requireNames('precision', [options.precision], STORAGES);
  const loaded = await lookingContextOf(options);
  const found = await findModel(loaded.config, name);
  const model = sized(found, options);
  const devices: Device[] = [];
  const place = { cacheDir: cacheDir(loaded), maxBytes: loaded.config.cache.maxBytes };
  for (const device of deviceNames(options.device)) {
    devices.push(
      device === THIS
        ? await thisMachine(loaded.config.backends, place, say)
        : DEVICES.find((d) => d.name === device)!,
    );
  }
  const result = await estimated(model, devices, options);
  if (options.json) printJson(result);
  else for (const line of estimateLines(result)) print(line);
  return 0;
}

async function estimated(model: ModelDef, devices: readonly Device[], options: EstimateOptions) {
  const stored = options.precision as StoredAs;
  const request = {
    batch: wholeNumber('--batch', options.batch),
    newTokens: wholeNumber('--new-tokens', options.newTokens),
    ...(options.prompt !== undefined && { prompt: wholeNumber('--prompt', options.prompt) }),
  };
  const estimates = [];
  for (const device of devices) {
    estimates.push({ device, estimate: await estimateInference(model, { ...request, stored, device }) });
  }
  const { estimate } = estimates[0]!;
  return {
    kind: 'estimate' as const,
    ...{ model: model.name, family: model.family, task: model.task, parameters: estimate.parameters },
    published: model.published ?? null,
    request: {
      ...{ batch: request.batch, prompt: request.prompt ?? null, new_tokens: request.newTokens },
      ...{ resolution: options.resolution ?? null, precision: stored },
      ...{ image_tokens: estimate.imageTokens, context: estimate.context },
    },
    weight_bytes: estimate.weights,
    cache_bytes_per_token: estimate.cachePerToken,
    devices: estimates.map(({ device, estimate: { memory, phases } }) => ({
      ...{ name: device.name, label: device.label, source: device.source, memory_bytes: device.memory },
      fits: memory.peak <= device.memory,
      memory,
      phases: phases.map(({ memoryBound, ...phase }) => ({ ...phase, memory_bound: memoryBound })),
      seconds: phases.reduce(
        (sum, { name, seconds }) => sum + seconds * (name === 'decode' ? request.newTokens : 1),
        0,
      ),
    })),
    training: asksForTraining(options)
      ? await trainingEstimate(model, options, stored, {
          text: estimate.context === null ? null : estimate.context - estimate.imageTokens,
          answer: request.newTokens,
        })
      : null,
  };
}

function deviceNames(asked: readonly string[] | undefined): readonly string[] {
  const known = [THIS, ...DEVICES.map((d) => d.name)];
  for (const name of asked ?? []) if (!known.includes(name)) throw unknownName('device', name, known);
  return asked ?? known;
}

/** The model at the sizes that the options name. */
function sized(model: ModelDef, { resolution, dim }: EstimateOptions): ModelDef {
  const at = resolution === undefined ? model : atResolution(model, resolution);
  return { ...at, dims: { ...at.dims, ...dimensionSizes(dim ?? []) } };
}
