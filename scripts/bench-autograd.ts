/**
 * A training step of ours on onnxruntime's CPU against tfjs's own autograd on wasm, with what it is known to be slow at worked
 * around: a ViT classifier and a Llama, the same weights, batches and AdamW. Time: interleaved in one run, as the ratio with its
 * interval, of seconds on the clock and of seconds of all cores (fair on a busy machine, hard on ours, which spins on two).
 * Memory: peak RSS of a process of its own for each, the bytes of tfjs's tensors beside it.
 * The bars: ours ≥ 2 × faster, its peak lower.
 *
 *   node --import tsx scripts/bench-autograd.ts [vit|llama|both] [rounds=5]
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onnxruntime } from '../src/backends/onnxruntime/index.ts';
import { openAutogradSession } from '../src/backends/tfjs/autograd/index.ts';
import type { ModelDef } from '../src/core/model.ts';
import { random } from '../src/core/random.ts';
import { readParam } from '../src/core/read-param.ts';
import { elementCount, int64, type Tensor, type Tensors, tensor } from '../src/core/tensor.ts';
import { withAllLogits } from '../src/estimate/resize.ts';
import { pairedBootstrapRatio } from '../src/stats/bootstrap.ts';
import { median } from '../src/stats/order.ts';
import { forwardOf } from '../src/training/forward/index.ts';
import { adamCorrections } from '../src/training/schedule.ts';
import { trainingStep } from '../src/training/step.ts';
import { Trainer } from '../src/training/trainer.ts';
import { seeded } from '../src/weights/index.ts';
import { model as zoo } from '../src/zoo/index.ts';

interface Case {
  readonly model: ModelDef;
  readonly sizes: { readonly batch: number; readonly sequence?: number };
}

const with_ = (name: string, other: object): ModelDef => {
  const model = withAllLogits(zoo(name));
  return { ...model, config: { ...(model.config as object), ...other } };
};
/** ViT-Ti/16 at 224 px, and a Llama of 14M parameters: what tfjs finishes while one waits. */
const CASES: Readonly<Record<string, Case>> = {
  vit: { model: zoo('deit-ti-16'), sizes: { batch: 4 } },
  llama: {
    model: with_('llama-tiny', {
      ...{ width: 256, depth: 4, heads: 8, kvHeads: 8, headWidth: 32, mlpWidth: 688, vocabulary: 16000 },
    }),
    sizes: { batch: 4, sequence: 128 },
  },
};
const ADAMW = {
  ...{ kind: 'adamw' as const, betas: [0.9, 0.999] as const, eps: 1e-8, weightDecay: 0.01 },
  decays: (name: string) => !/bias|norm/.test(name),
} as const;
const STEPS = 4;
const SETTLE_MS = 40;

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

interface Runner {
  step(): Promise<number>;
  /** Bytes of tfjs's tensors at their most. */
  readonly tensors?: () => number;
  close(): Promise<void>;
}

async function opened(which: 'ours' | 'theirs', { model, sizes }: Case): Promise<Runner> {
  const forward = await forwardOf(model, await model.build(model.config), sizes);
  const params = forward.graph.params.filter((p) => p.role === 'weight');
  const draw = random(7);
  const batch: Tensors = Object.fromEntries(
    forward.inputs.map(({ name, dtype, shape }): [string, Tensor] => {
      const count = elementCount(shape as number[]);
      const numbers = Array.from({ length: count }, () =>
        dtype === 'float32' ? draw.uniform() * 2 - 1 : draw.below(forward.classes!),
      );
      const of = shape as number[];
      return [name, dtype === 'float32' ? tensor(dtype, of, Float32Array.from(numbers)) : int64(of, numbers)];
    }),
  );
  let at = 0;
  const scalars = () => ({ lr: 1e-4, ...adamCorrections(++at, ADAMW.betas) });
  if (which === 'theirs') {
    const source = await (model.weights ?? seeded()).open(params);
    const weights: Tensors = {};
    for (const param of params) weights[param.name] = await readParam(source, param);
    await source.close();
    const given = { sizes, weights, optimiser: ADAMW };
    const trainer = await openAutogradSession('wasm', model, given, { precision: 'fp32' });
    return {
      step: async () => (await trainer.run(batch, scalars())).loss,
      tensors: () => trainer.peakBytes,
      close: () => trainer.close(),
    };
  }
  const backend = onnxruntime('cpu');
  const step = await trainingStep(forward, {
    ...{ trainable: new Set(params.map((p) => p.name)), optimiser: ADAMW },
    ...(backend.training && { target: backend.training }),
  });
  const trainer = await Trainer.open(model, step, { backend, cacheDir: '.cache/versus', maxBytes: 12e9 });
  return { step: async () => (await trainer.run(batch, scalars())).loss, close: () => trainer.close() };
}

/** Seconds of all cores that the process has used. */
const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

async function compared(name: string, of: Case, rounds: number): Promise<void> {
  const [ours, theirs] = [await opened('ours', of), await opened('theirs', of)];
  const losses = [[await ours.step(), await theirs.step()]];
  for (let i = 0; i < 2; i++) losses.push([await ours.step(), await theirs.step()]);
  say(`${name}: losses ${losses.map(([a, b]) => `${a!.toFixed(5)} | ${b!.toFixed(5)}`).join(', ')}`);
  const taken = { clock: [[], []], cores: [[], []] } as Record<'clock' | 'cores', [number[], number[]]>;
  for (let round = 0; round < rounds; round++) {
    for (const which of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      // onnxruntime's threads spin on for a while.
      await sleep(SETTLE_MS);
      const [start, used] = [performance.now(), cpuSeconds()];
      await (which === 0 ? ours : theirs).step();
      taken.clock[which].push((performance.now() - start) / 1000);
      taken.cores[which].push(cpuSeconds() - used);
    }
  }
  for (const [by, [a, b]] of Object.entries(taken)) {
    const { ratio, interval } = pairedBootstrapRatio(a, b)!;
    say(
      `  autograd ÷ ours by seconds of ${by}: ${ratio.toFixed(2)} [${interval.lo.toFixed(2)}, ${interval.hi.toFixed(2)}] over ${rounds} rounds; medians ${median(b).toFixed(2)} and ${median(a).toFixed(2)} s`,
    );
  }
  await ours.close();
  await theirs.close();
}

const kilobytes = (field: string): number =>
  Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))![1]);

/** In a process of its own: what a few steps take at most. */
async function peak(which: 'ours' | 'theirs', name: string): Promise<void> {
  const runner = await opened(which, CASES[name]!);
  for (let i = 0; i < STEPS; i++) await runner.step();
  const tensors = runner.tensors
    ? `, tensors ${(runner.tensors() / 1e6).toFixed(0)} MB at their most, after them ${(kilobytes('VmRSS') / 1e3).toFixed(0)} MB resident`
    : '';
  say(`  ${which}: peak RSS ${(kilobytes('VmHWM') / 1e3).toFixed(0)} MB${tensors}`);
}

const [asked = 'both', rounds = '5', only] = process.argv.slice(2);
if (asked === '--peak') await peak(rounds as 'ours' | 'theirs', only!);
else {
  for (const name of asked === 'both' ? Object.keys(CASES) : [asked]) {
    await compared(name, CASES[name]!, Number(rounds));
    for (const which of ['ours', 'theirs']) {
      const args = [...process.execArgv, fileURLToPath(import.meta.url), '--peak', which, name];
      say(execFileSync(process.execPath, args, { encoding: 'utf8' }).trimEnd());
    }
  }
}
process.exit(0);
