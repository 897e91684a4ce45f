import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf, VersusError } from '../core/errors.ts';
import type { Param } from '../core/graph.ts';
import type { ModelDef, WeightSpec } from '../core/model.ts';
import { openOnnx } from '../graph/onnx/index.ts';
import { openSafetensors, safetensors } from '../weights/index.ts';
import { fromCheckpointConfig } from '../zoo/checkpoint/index.ts';
import type { Recorded } from './recorded.ts';

/** A config.json is some kilobytes; one of a thousand labels some dozens. */
const MAX_CONFIG_BYTES = 16 << 20;

/** Beside io.safetensors, so a folder alone would not say which file is meant. */
const CHECKPOINTS = ['weights.safetensors', 'model.safetensors', 'model.safetensors.index.json'];

/**
 * The model in a folder: config.json with weights.safetensors (or as the hub has it: model.safetensors, or its shards with
 * an index), or model.onnx.
 * @throws VersusError `usage` when neither is there, else as `fromCheckpointConfig` and `openSafetensors`
 */
export async function modelIn(dir: string, recorded: Recorded): Promise<ModelDef> {
  const onnx = join(dir, 'model.onnx');
  const weights = checkpointIn(dir);
  if (weights !== undefined) return checkpointModel(dir, weights, recorded);
  if (existsSync(onnx)) {
    return {
      ...{ name: 'model.onnx', family: 'onnx', task: 'classify', config: null, files: { model: onnx } },
      build: async () => ({ model: (await openOnnx(onnx)).graph }),
    };
  }
  throw new VersusError('usage', 'there is neither weights.safetensors nor model.onnx', {
    where: dir,
    next: 'give a folder with config.json, weights.safetensors and io.safetensors, or model.onnx and io.safetensors',
  });
}

/** The checkpoint in a folder, by the first of its usual names. */
export function checkpointIn(dir: string): string | undefined {
  return CHECKPOINTS.map((name) => join(dir, name)).find((path) => existsSync(path));
}

/**
 * A checkpoint of a model with adapters in it: a wrapped layer's own weight goes by `<module>.base_layer.weight`, as PEFT names
 * it. What no parameter wants may be there.
 */
export function withBaseLayers(path: string, names: readonly string[]): WeightSpec {
  const inner = safetensors(path, { unexpected: 'ignore' });
  const known = new Set(names);
  const renamed = (param: Param): Param => {
    const wrapped = param.name.replace(/([^.]+)$/, 'base_layer.$1');
    return known.has(wrapped) ? { ...param, name: wrapped } : param;
  };
  return {
    label: inner.label,
    async open(params, options) {
      const source = await inner.open(params.map(renamed), options);
      return { ...source, read: (param, into) => source.read(renamed(param), into) };
    },
  };
}

async function checkpointModel(dir: string, weights: string, recorded: Recorded): Promise<ModelDef> {
  const config = await readConfig(dir);
  const file = await openSafetensors(weights);
  const names = file.names;
  await file.close();
  const image = recorded.inputs.pixel_values?.shape;
  const { model } = fromCheckpointConfig(config, names, {
    taps: true,
    logits: 'all',
    ...(image?.length === 4 && { image: [image[2]!, image[3]!] as const }),
  });
  return { ...model, weights: safetensors(weights) };
}

/** The config.json in a folder. @throws VersusError `usage` when there is none, `input` when it cannot be read */
export async function readConfig(dir: string): Promise<unknown> {
  const path = join(dir, 'config.json');
  try {
    if ((await stat(path)).size > MAX_CONFIG_BYTES)
      throw new Error(`it is larger than ${MAX_CONFIG_BYTES} bytes`);
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (missing)
      throw new VersusError('usage', 'there is no config.json beside the weights', { where: path });
    throw new VersusError('input', `config.json cannot be read: ${reasonOf(error)}`, { where: path });
  }
}
