/** A published model's folder (config.json, weights, processor, tokenizer) as a model. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { readJson } from '../data/json.ts';
import { fixedSize } from '../data/preprocess.ts';
import { fromProcessorConfig } from '../data/processor-config.ts';
import { type OnnxOptions, openSafetensors, safetensors } from '../weights/index.ts';
import { fromCheckpointConfig } from '../zoo/checkpoint/index.ts';
import { classNames } from './class-names.ts';
import { onnxParts } from './exported.ts';

export interface PretrainedOptions extends OnnxOptions {
  /** Name in tables and records; the folder's when left out. */
  readonly name?: string;
  /** What is run where a folder holds both; the checkpoint when left out. Naming a `variant` means `onnx`. */
  readonly format?: 'safetensors' | 'onnx';
}

/**
 * The model in a folder as the Hugging Face hub has it. `config.json` says which architecture and which hyperparameters,
 * `preprocessor_config.json` how images are prepared, `tokenizer.json` how text is; the weights are a checkpoint in
 * safetensors format, run through our graphs, or exported ONNX files, run as they are.
 * @throws VersusError `usage` when there is no such folder, `input` for what is missing or damaged in it, `unsupported`
 * for an architecture that the zoo lacks
 */
export async function pretrained(folder: string, options: PretrainedOptions = {}): Promise<ModelDef> {
  const dir = resolve(folder);
  const names = await readdir(dir).catch((cause) => {
    throw new VersusError('usage', 'there is no such folder', { where: dir, cause });
  });
  const checkpoint = names.some((name) => /\.safetensors(\.index\.json)?$/.test(name));
  const format = options.format ?? (options.variant === undefined && checkpoint ? 'safetensors' : 'onnx');
  const config = await readJson(join(dir, 'config.json'), { optional: format === 'onnx' });
  const preprocess = await preprocessIn(dir);
  const classes = classNames(config);
  const about = {
    ...{ name: options.name ?? basename(dir) },
    ...(preprocess && { preprocess }),
    ...(classes && { classes }),
    ...(existsSync(join(dir, 'tokenizer.json')) && { tokenizer: join(dir, 'tokenizer.json') }),
  };
  if (format === 'onnx') return { ...(await onnxParts(dir, config, options)), ...about };
  const file = await openSafetensors(dir);
  await file.close();
  // A convolutional network's config leaves the size of its images to the processor.
  const size = preprocess && fixedSize(preprocess);
  const { model } = fromCheckpointConfig(config, file.names, {
    ...(size && config?.image_size === undefined && { image: [size.height, size.width] as const }),
  });
  return { ...model, ...about, weights: safetensors(folder) };
}

/** Undefined where the folder has none, or one whose images vary in size: the architecture says how those are cut. */
async function preprocessIn(dir: string): Promise<ModelDef['preprocess']> {
  const path = join(dir, 'preprocessor_config.json');
  const json = await readJson(path, { optional: true });
  if (json === null) return undefined;
  try {
    return fromProcessorConfig(json, path);
  } catch (error) {
    if (error instanceof VersusError && error.kind === 'unsupported') return undefined;
    throw error;
  }
}
