import { copyFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as z from 'zod';
import { oneLine, VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { type Tensor, type Tensors, tensor, toBytes } from '../core/tensor.ts';
import { readJson } from '../data/json.ts';
import { contained } from '../weights/contained.ts';
import { layout } from '../weights/header.ts';
import { openSafetensors } from '../weights/index.ts';
import { streamSafetensors, writeFailure, writeSafetensors } from '../weights/safetensors-writer.ts';
import { saveAdapter } from './adapter.ts';
import { settingsSchema } from './settings.ts';
import type { Setup } from './setup.ts';
import type { Trainer } from './trainer.ts';
import { parametersOf, wholeWeights } from './whole.ts';

/** All weights and buffers under the names that checkpoints of the model have; `safetensors(folder)` loads them. */
export const MODEL_FILE = 'model.safetensors';
const OPTIMISER_FILE = 'optimiser.safetensors';
const ABOUT_FILE = 'trainer.json';

const name = z.string().max(1000);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const evaluation = z.strictObject({
  step: z.int().min(0),
  loss: z.number(),
  accuracy: z.number().min(0).max(1).nullable(),
  n: z.int().min(1),
});
/** `trainer.json`. */
const aboutSchema = z.strictObject({
  version: z.literal(1),
  model: z.strictObject({
    ...{ name, architecture: hash },
    /** Identity by content of the weights that don't train; the adapters of another base are of no use. */
    frozen: name,
    /** Where the weights came from that the training began with, for people: nothing opens it. */
    weights: z.string().max(10_000),
  }),
  settings: settingsSchema,
  data: z.strictObject({ name, sha256: name, examples: z.int().min(1), heldOut: z.int().min(0) }),
  step: z.int().min(1).max(1e9),
  evaluations: z.array(evaluation).max(100_000),
});
export type About = z.infer<typeof aboutSchema>;

/** What is known of a step: loss, learning rate, and norm of the gradients ahead of clipping (NaN where it is not computed). */
export type Row = readonly [loss: number, rate: number, norm: number];
const COLUMNS = 3;
const HISTORY = 'history';

/** A checkpoint as it was read, checked. */
export interface Saved {
  readonly folder: string;
  readonly about: About;
  readonly history: readonly Row[];
  /** Of the optimiser, by input of the step's state; the trainer that gets them may write into them. */
  readonly moments: Tensors;
}

/**
 * Writes everything that a training goes on from into a folder: for a trained model `model.safetensors`, for adapters what PEFT
 * writes, beside them `optimiser.safetensors` (moments and history; sums of gradients are zero between steps) and `trainer.json`.
 *
 * @param companions files that are copied beside a model's weights: its configuration, its tokenizer
 * @throws VersusError `input` for weights that are no finite numbers, `infrastructure` when the disk refuses
 */
export async function writeCheckpoint(
  folder: string,
  { model, lora, step }: Setup,
  trainer: Trainer,
  {
    about,
    history,
    companions = [],
  }: Pick<Saved, 'about' | 'history'> & { readonly companions?: readonly string[] },
  cacheDir: string,
): Promise<void> {
  if (lora) {
    const tensors: Tensors = {};
    for (const input of lora.trained) tensors[input] = finite(input, await trainer.read(input), about.step);
    const task = model.task === 'generate' ? ('CAUSAL_LM' as const) : undefined;
    await saveAdapter(folder, lora, tensors, { ...(task && { task }) });
  } else {
    await writeModel(join(folder, MODEL_FILE), model, trainer, about.step, cacheDir);
    for (const path of companions) await copyFile(path, join(folder, basename(path)));
  }
  const moments: Tensors = {};
  for (const { input, holds } of step.state) {
    if (isMoment(holds)) moments[input] = await trainer.read(input);
  }
  moments[HISTORY] = tensor('float64', [history.length, COLUMNS], Float64Array.from(history.flat()));
  await writeSafetensors(join(folder, OPTIMISER_FILE), moments);
  try {
    await writeFile(join(folder, ABOUT_FILE), `${JSON.stringify(about, null, 2)}\n`, { flush: true });
  } catch (error) {
    throw writeFailure(folder, error);
  }
}

const isMoment = (holds: Setup['step']['state'][number]['holds']): boolean =>
  holds === 'moment1' || holds === 'moment2' || holds === 'factor';

/** Trained parameters from the device, frozen ones as they stream from where they came from. */
async function writeModel(
  path: string,
  model: ModelDef,
  trainer: Trainer,
  step: number,
  cacheDir: string,
): Promise<void> {
  const params = await parametersOf(model);
  const source = await (await wholeWeights(model)).open(params, { cacheDir });
  const changed = new Set(trainer.step.params.map((p) => p.name));
  try {
    await streamSafetensors(path, layout(params, { format: 'pt' }), async (append) => {
      for (const param of params) {
        if (changed.has(param.name)) {
          const { data } = finite(param.name, await trainer.read(param.name), step);
          await append(param.name, toBytes(data));
        } else if (param.data) await append(param.name, toBytes(param.data));
        else for await (const chunk of source.read(param)) await append(param.name, chunk);
      }
    });
  } catch (error) {
    throw writeFailure(path, error);
  } finally {
    await source.close();
  }
}

function finite(parameter: string, numbers: Tensor, step: number): Tensor {
  if ((numbers.data as Float32Array).every(Number.isFinite)) return numbers;
  throw new VersusError('input', `after step ${step} ${parameter} holds numbers that are not finite`, {
    next: 'train with a smaller learning rate, a warm-up or clipped gradients, from the last checkpoint',
  });
}

/**
 * Reads what a checkpoint tells of its training, and its optimiser's numbers.
 * @throws VersusError `usage` when it is none, `input` for what is damaged or of another version
 */
export async function readCheckpoint(folder: string): Promise<Saved> {
  const path = await contained(folder, ABOUT_FILE);
  const json = await readJson(path, { optional: true });
  if (json === null) {
    throw new VersusError('usage', 'there is no checkpoint to go on from', {
      where: path,
      next: 'name the folder of a training (--out of the run that made it), or one of its step-N',
    });
  }
  const parsed = aboutSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue!.path.map(String).join('.');
    throw new VersusError(
      'input',
      oneLine(`not a checkpoint of a training: ${field || 'it'}: ${issue!.message}`),
      {
        where: path,
        next: 'go on from another checkpoint: this one was changed, or another version wrote it',
      },
    );
  }
  const about = parsed.data;
  const file = await openSafetensors(await contained(folder, OPTIMISER_FILE));
  try {
    const moments: Tensors = {};
    for (const tensorName of file.names) {
      if (tensorName !== HISTORY) moments[tensorName] = await file.read(tensorName);
    }
    const info = file.info(HISTORY);
    if (info?.dtype !== 'float64' || String(info.shape) !== String([about.step, COLUMNS])) {
      throw new VersusError('input', `${HISTORY} does not tell of ${about.step} steps`, { where: file.path });
    }
    const numbers = (await file.read(HISTORY)).data as Float64Array;
    const history = Array.from({ length: about.step }, (_, i) => [
      ...numbers.subarray(COLUMNS * i, COLUMNS * (i + 1)),
    ]);
    return { folder, about, history: history as unknown as readonly Row[], moments };
  } finally {
    await file.close();
  }
}
