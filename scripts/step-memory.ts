import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { onnxruntime } from '../src/backends/onnxruntime/index.ts';
import { type StepMemory, stepGrowth, stepMemory } from '../src/training/predict.ts';
import { trainingStep } from '../src/training/step.ts';
import { Trainer } from '../src/training/trainer.ts';
import type { TrainingCase } from './training-cases.ts';

const STEPS = 3;
const LOOK_MS = 100;
const MOST_LOOKS = 20;
const STEADY_BYTES = 1 << 18;

export interface MeasuredStep {
  readonly predicted: StepMemory;
  /** Bytes by which this process held more than after the session was opened, after each step. */
  readonly growth: { readonly predicted: number; readonly measured: readonly number[] };
  /** predicted ÷ measured − 1 */
  readonly off: number;
}

/**
 * Memory of AdamW steps on onnxruntime's CPU, predicted and measured: VmHWM, reset by /proc/self/clear_refs. To be called once in a
 * process, on Linux, with `--expose-gc`.
 *
 * @param share of the memory that the step would need, within which it is to stay
 */
export async function measuredStep(
  { model, forward, trainable, batch }: TrainingCase,
  cacheDir: string,
  share = 1,
): Promise<MeasuredStep> {
  const backend = onnxruntime('cpu');
  const optimiser = { kind: 'adamw' } as const;
  const options = { trainable, optimiser, target: { microsoft: true } };
  const whole = await trainingStep(forward, options);
  const memoryBudget = Math.ceil(share * stepMemory(whole).total);
  const step = share < 1 ? await trainingStep(forward, { ...options, memoryBudget }) : whole;
  const predicted = stepMemory(step);
  const trainer = await Trainer.open(model, step, { backend, cacheDir, maxBytes: 8e9 });
  const opened = await settled();
  await writeFile('/proc/self/clear_refs', '5');
  const measured: number[] = [];
  for (let t = 1; t <= STEPS; t++) {
    await trainer.run(batch, { lr: 1e-4, correction1: 1 - 0.9 ** t, correction2: 1 - 0.999 ** t });
    measured.push((await memory('VmHWM')) - opened);
  }
  await trainer.close();
  const growth = stepGrowth(step, predicted);
  return { predicted, growth: { predicted: growth, measured }, off: growth / measured.at(-1)! - 1 };
}

/** What is held once the engine has given back what it collected, which it does in the background. */
async function settled(): Promise<number> {
  let held = Number.POSITIVE_INFINITY;
  for (let i = 0; i < MOST_LOOKS; i++) {
    globalThis.gc?.();
    await sleep(LOOK_MS);
    const now = await memory('VmRSS');
    if (held - now < STEADY_BYTES) return now;
    held = now;
  }
  return held;
}

async function memory(field: string): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8');
  return 1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)![1]);
}
