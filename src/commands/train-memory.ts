import { reasonOf, VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { quantity } from '../report/format.ts';
import { lastingMemory, type StepMemory, trainingMemory } from '../training/predict.ts';
import type { TrainingSettings } from '../training/settings.ts';
import { learningForward, type Setup, stepOf } from '../training/setup.ts';
import type { Target } from '../transform/lower/index.ts';

/** What is proposed where memory is short. */
const LORA: NonNullable<TrainingSettings['lora']> = { r: 8, alpha: 16, dropout: 0, targets: 'all-linear' };

/** What is to be trained, and for which kind of backend. */
export interface Asked {
  readonly model: ModelDef;
  readonly settings: TrainingSettings;
  readonly target?: Target;
}

/**
 * That what a training keeps from step to step fits into memory, which is known within a second for every model, before the step is
 * built.
 * @param available bytes that this process may still take
 * @throws VersusError `usage` with what it is, and what would fit; as `learningForward`
 */
export async function requireLasting(asked: Asked, available: number): Promise<void> {
  const { model, settings } = asked;
  const { forward, trainable } = await learningForward(model, settings);
  const lasting = lastingMemory(forward, trainable, settings);
  if (lasting <= available) return;
  const kept = `weights and the optimiser's numbers alone take ${quantity(lasting, 'B')} of memory`;
  throw await shortage(asked, kept, available, null);
}

/**
 * That a training fits into memory, before anything is loaded.
 * @param step what it runs
 * @param available bytes that this process may still take
 * @throws VersusError `usage` with what is predicted (`trainingMemory`), and what would fit
 */
export async function requireMemory(asked: Asked, step: Setup['step'], available: number): Promise<void> {
  const memory = trainingMemory(step);
  if (memory.total <= available) return;
  const predicted = `a step is predicted to take ${quantity(memory.total, 'B')} of memory`;
  throw await shortage(asked, predicted, available, memory);
}

async function shortage(
  asked: Asked,
  predicted: string,
  available: number,
  memory: StepMemory | null,
): Promise<VersusError> {
  const { batch, microBatches } = asked.settings;
  const parts = microBatches > 1 ? ` in ${microBatches} micro-batches` : '';
  return new VersusError('usage', `${predicted}, and ${quantity(available, 'B')} are free`, {
    where: `${asked.model.name}, batch ${batch}${parts}`,
    next: `${await whatFits(asked, memory, available)}; --no-memory-check trains all the same`,
  });
}

/** An error that says that memory ran out, with the prediction and what would need less; others as they are. */
export async function explainedShortage(error: unknown, asked: Asked, step: Setup['step']): Promise<unknown> {
  if (!/out of memory|allocation failed|bad_alloc|failed to allocate/i.test(reasonOf(error))) return error;
  const memory = trainingMemory(step);
  const { total } = memory;
  const known = error instanceof VersusError ? error : undefined;
  // Less than was predicted to be needed has to do.
  const fits = await whatFits(asked, memory, total / 2);
  return new VersusError('infrastructure', known?.message ?? `out of memory: ${reasonOf(error)}`, {
    where: `${known?.where ?? asked.model.name}, a step is predicted to take ${quantity(total, 'B')}`,
    next: [fits, known?.next].filter(Boolean).join('; '),
    cause: error,
  });
}

/**
 * The first of each kind of change that brings the need below a limit, with what it would then be.
 * @param memory of what was asked for, where it is known
 */
async function whatFits(asked: Asked, memory: StepMemory | null, limit: number): Promise<string> {
  const { settings } = asked;
  const { batch, microBatches, lora, qlora } = settings;
  const found: string[] = [];
  const tried = async (option: string, change: Partial<TrainingSettings>): Promise<boolean> => {
    const bytes = await neededWithin(asked, { ...settings, ...change }, memory, limit);
    if (bytes === null) return false;
    found.push(`${option} (${quantity(bytes, 'B')})`);
    return true;
  };
  for (let parts = 2 * microBatches; parts <= batch && batch % parts === 0; parts *= 2) {
    if (await tried(`--micro-batches ${parts}`, { microBatches: parts })) break;
  }
  for (let smaller = batch / 2; smaller >= 1; smaller /= 2) {
    const size = Math.floor(smaller);
    if (await tried(`--batch ${size}`, { batch: size, microBatches: 1 })) break;
  }
  if (!lora) await tried('--lora r=8,alpha=16,targets=all-linear', { lora: LORA });
  if (!qlora) await tried('--qlora', { qlora: true, lora: lora ?? LORA });
  if (found.length === 0) {
    await tried(`--qlora --micro-batches ${batch}`, { qlora: true, lora: lora ?? LORA, microBatches: batch });
    await tried('--qlora --batch 1', { qlora: true, lora: lora ?? LORA, batch: 1, microBatches: 1 });
  }
  if (found.length > 0) return `what would fit: ${found.join(', ')}`;
  return 'no smaller batch and no LoRA would fit: take a smaller model, or a machine with more memory';
}

/**
 * Bytes that other settings need where that is within a limit; null where it isn't, or where the model can't be trained so. Steps of
 * large models take seconds to build, so none is built of which it can be told that it doesn't fit.
 *
 * @param memory of what was asked for, where it is known
 */
async function neededWithin(
  { model, settings, target }: Asked,
  other: TrainingSettings,
  memory: StepMemory | null,
  limit: number,
): Promise<number | null> {
  try {
    const learning = await learningForward(model, other);
    const lasting = lastingMemory(learning.forward, learning.trainable, other);
    if (lasting + (memory === null ? 0 : leastPassing(memory, settings, other)) > limit) return null;
    const { total } = trainingMemory(await stepOf(learning, other, target));
    return total <= limit ? total : null;
  } catch (error) {
    if (error instanceof VersusError) return null;
    throw error;
  }
}

/** What comes and goes in a step shrinks with the samples of a micro-batch at most; 0 where that says nothing of other settings. */
function leastPassing(memory: StepMemory, settings: TrainingSettings, other: TrainingSettings): number {
  const same = other.lora === settings.lora && other.qlora === settings.qlora;
  if (!same || (settings.microBatches > 1 && other.microBatches === 1)) return 0;
  const { weights, frozen, optimiser, total } = memory;
  const share = (settings.microBatches * other.batch) / (other.microBatches * settings.batch);
  return share * (total - weights - frozen - optimiser);
}
