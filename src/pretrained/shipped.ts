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

const NAMES = ['shapes-resnet', 'shapes-vit', 'shapes-clip', 'shapes-llm', 'shapes-vlm'] as const;
export type Shipped = (typeof NAMES)[number];

/** What costs are counted at where a text's length is open: a prompt of 128 tokens. */
const PROMPT = { sequence: 128, past: 0 };

/**
 * A small model that this engine trained, weights, classes, processor and tokenizer with it: what suites report quality of.
 * @throws VersusError `input` when the package's folder is damaged
 */
export function shipped(name: Shipped): ModelDef {
  const dir = join(FOLDER, name);
  const config = read(dir, 'config.json');
  const path = join(dir, 'preprocessor_config.json');
  const preprocess = existsSync(path)
    ? fromProcessorConfig(read(dir, 'preprocessor_config.json'), path)
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

/** All of them. */
export const shippedModels = (): readonly ModelDef[] => NAMES.map(shipped);

function read(dir: string, file: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(join(dir, file), 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new VersusError('input', `a checkpoint of this package cannot be read`, {
      where: join(dir, file),
      next: 'install the package again, or train it: node --import tsx scripts/train-checkpoint.ts NAME',
      cause,
    });
  }
}
