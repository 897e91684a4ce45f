import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { fixedSize } from '../data/preprocess.ts';
import { fromProcessorConfig } from '../data/processor-config.ts';
import { safetensors } from '../weights/index.ts';
import { fromCheckpointConfig } from '../zoo/checkpoint/index.ts';
import { classNames } from './class-names.ts';

/** Checkpoints that come with the package, each a folder of the hub's layout with a card. */
const FOLDER = fileURLToPath(new URL('../../checkpoints/', import.meta.url));

/** What of them is known without their folders. */
const KINDS = {
  'shapes-resnet': { family: 'resnet', task: 'classify' },
  'shapes-vit': { family: 'vit', task: 'classify' },
  'shapes-clip': { family: 'clip', task: 'embed' },
  'shapes-llm': { family: 'qwen2', task: 'generate' },
  'shapes-vlm': { family: 'llava', task: 'generate' },
} as const satisfies Record<string, Pick<ModelDef, 'family' | 'task'>>;
export type Shipped = keyof typeof KINDS;

const UNREADABLE = 'a checkpoint of this package cannot be read';

/** What costs are counted at where a text's length is open: a prompt of 128 tokens. */
const PROMPT = { sequence: 128, past: 0 };

/**
 * A small model that this engine trained, weights, classes, processor and tokenizer with it: what suites report quality of.
 *
 * Suites ask for it while the config is imported, so a damaged folder fails where the model is used and not before: its `build` rejects
 * with a VersusError `input` that names the file.
 *
 * @param folder where the checkpoints are
 */
export function shipped(name: Shipped, folder = FOLDER): ModelDef {
  const dir = join(folder, name);
  try {
    return read(name, dir);
  } catch (cause) {
    const error = damaged(cause, dir);
    return {
      ...{ name, ...KINDS[name], config: null, weights: safetensors(dir) },
      ...{ dims: KINDS[name].task === 'generate' ? PROMPT : {} },
      ...(KINDS[name].task !== 'classify' && { tokenizer: join(dir, 'tokenizer.json') }),
      build: () => Promise.reject(error),
    };
  }
}

/** All of them. */
export const shippedModels = (): readonly ModelDef[] =>
  (Object.keys(KINDS) as Shipped[]).map((name) => shipped(name));

function read(name: Shipped, dir: string): ModelDef {
  const config = json(dir, 'config.json');
  const path = join(dir, 'preprocessor_config.json');
  const preprocess = existsSync(path)
    ? fromProcessorConfig(json(dir, 'preprocessor_config.json'), path)
    : undefined;
  const size = preprocess && fixedSize(preprocess);
  const { model } = fromCheckpointConfig(config, [], {
    ...(size && { image: [size.height, size.width] as const }),
  });
  const classes = classNames(config);
  return {
    ...{ ...model, name, weights: safetensors(dir) },
    ...(preprocess && { preprocess }),
    ...(classes && { classes }),
    ...(model.task === 'generate' && { dims: PROMPT }),
    ...(model.task !== 'classify' && { tokenizer: join(dir, 'tokenizer.json') }),
  };
}

function json(dir: string, file: string): Record<string, unknown> {
  const path = join(dir, file);
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw damaged(cause, path);
  }
}

function damaged(cause: unknown, where: string): VersusError {
  if (cause instanceof VersusError && cause.message === UNREADABLE) return cause;
  return new VersusError('input', UNREADABLE, {
    where: cause instanceof VersusError ? `${where}: ${cause.message}` : where,
    next: 'install the package again, or train it: node --import tsx scripts/train-checkpoint.ts NAME',
    cause,
  });
}
