import { reasonOf, VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { estimateTraining } from '../estimate/index.ts';
import { quantity } from '../report/format.ts';
import { loraOf, type TrainingSettings } from '../training/settings.ts';
import { loraTargets } from '../transform/lora-targets.ts';
import { trainedIn, weightParts } from '../transform/scope.ts';

type Graphs = Readonly<Record<string, Graph>>;

/** What is proposed where memory is short. */
const LORA: NonNullable<TrainingSettings['lora']> = { r: 8, alpha: 16, dropout: 0, targets: 'all-linear' };
/** Bytes of a float32. */
const FULL = 4;

/**
 * Predicted peak memory of a training in bytes: of a step (src/estimate), and with micro-batches the sums of gradients and the
 * frozen weights once more. null where a model's sizes don't say.
 */
async function predictedMemory(
  model: ModelDef,
  graphs: Graphs,
  settings: TrainingSettings,
): Promise<number | null> {
  const { scope, lora, qlora, precision, optimiser, batch, microBatches, sizes } = settings;
  const within = trainedIn(scope, weightParts(Object.values(graphs), model.parts), model.name);
  const learning = lora ? adaptersOf(model, graphs, lora, within) : { trainable: within };
  try {
    const memory = await estimateTraining(model, {
      ...{ ...learning, batch: Math.ceil(batch / microBatches), stored: qlora ? 'int4' : precision },
      ...(sizes.sequence !== undefined && { prompt: sizes.sequence + (sizes.prompt ?? 0) }),
      optimiser: optimiser.kind === 'adamw' ? 'adamw' : optimiser.momentum > 0 ? 'momentum' : 'sgd',
    });
    const numbers = FULL * memory.trainable;
    // What trains is there in float32 beside the half that is computed with.
    const peak = memory.peak + (precision === 'fp16' ? numbers : 0);
    return microBatches === 1 ? peak : peak + numbers + Math.max(0, memory.weights - numbers);
  } catch (error) {
    if (error instanceof VersusError) return null;
    throw error;
  }
}

function adaptersOf(
  model: ModelDef,
  graphs: Graphs,
  lora: NonNullable<TrainingSettings['lora']>,
  within: ReadonlySet<string>,
) {
  const targets = loraTargets(Object.values(graphs), loraOf(lora), { model: model.name, within });
  const sizes = targets.map(({ tensor, parameters }) => [tensor, { rank: lora.r, parameters }] as const);
  return { trainable: new Set<string>(), adapters: new Map(sizes) };
}

/**
 * That a training fits into memory, before anything is loaded.
 * @param available bytes that this process may still take
 * @throws VersusError `usage` with what is predicted, and what would fit
 */
export async function requireMemory(
  model: ModelDef,
  graphs: Graphs,
  settings: TrainingSettings,
  available: number,
): Promise<void> {
  const need = await predictedMemory(model, graphs, settings);
  if (need === null || need <= available) return;
  throw new VersusError(
    'usage',
    `a step is predicted to take ${quantity(need, 'B')} of memory, and ${quantity(available, 'B')} are free`,
    {
      where: `${model.name}, batch ${settings.batch}${settings.microBatches > 1 ? ` in ${settings.microBatches} micro-batches` : ''}`,
      next: `${await whatFits(model, graphs, settings, available)}; --no-memory-check trains all the same`,
    },
  );
}

/** An error that says that memory ran out, with the prediction and what would need less; others as they are. */
export async function explainedShortage(
  error: unknown,
  model: ModelDef,
  graphs: Graphs,
  settings: TrainingSettings,
): Promise<unknown> {
  if (!/out of memory|allocation failed|bad_alloc|failed to allocate/i.test(reasonOf(error))) return error;
  const need = await predictedMemory(model, graphs, settings);
  const known = error instanceof VersusError ? error : undefined;
  // Less than was predicted to be needed has to do.
  const fits = await whatFits(model, graphs, settings, (need ?? 0) / 2);
  return new VersusError('infrastructure', known?.message ?? `out of memory: ${reasonOf(error)}`, {
    where: `${known?.where ?? model.name}${need === null ? '' : `, a step is predicted to take ${quantity(need, 'B')}`}`,
    next: [fits, known?.next].filter(Boolean).join('; '),
    cause: error,
  });
}

/** The first of each kind of change that brings the need below a limit, with what it would then be. */
async function whatFits(
  model: ModelDef,
  graphs: Graphs,
  settings: TrainingSettings,
  limit: number,
): Promise<string> {
  const found: string[] = [];
  const tried = async (option: string, change: Partial<TrainingSettings>): Promise<boolean> => {
    const need = await predictedMemory(model, graphs, { ...settings, ...change }).catch(() => null);
    if (need === null || need > limit) return false;
    found.push(`${option} (${quantity(need, 'B')})`);
    return true;
  };
  const { batch, microBatches, lora, qlora } = settings;
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
