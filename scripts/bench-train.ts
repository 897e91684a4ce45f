/**
 * Training steps on onnxruntime's cpu against PyTorch eager's (scripts/torch-baselines.py, which says what it needs): the same
 * models, batch, optimiser (AdamW, lr 1e-3, decay 0.01) and threads. Both run in processes of their own that take a step when
 * told to, in turn, in one run. Bars: time ≤ 1.0 × PyTorch's for vit-s, llama-60m and llama-60m-lora, ≤ 1.5 × for resnet-18;
 * peak memory of the whole process below PyTorch's.
 *
 *   node --import tsx scripts/bench-train.ts [--only CASE] [--rounds N=8] [--threads N=2] [--profile]
 *
 * Beside wall time it prints processor time, which stays fair when others use the machine. `--profile` runs our step alone and
 * lists where its time goes, by operator and shapes.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { onnxruntime } from '../src/backends/onnxruntime/index.ts';
import { pairedBootstrapRatio } from '../src/stats/bootstrap.ts';
import { median } from '../src/stats/order.ts';
import { adamCorrections } from '../src/training/schedule.ts';
import { trainingStep } from '../src/training/step.ts';
import { Trainer } from '../src/training/trainer.ts';
import { Peer, type Taken } from './step-peer.ts';
import { TRAINING_CASES } from './training-cases.ts';

const { values: given } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '8' },
    threads: { type: 'string', default: '2' },
    profile: { type: 'boolean', default: false },
    serve: { type: 'string' },
  },
});
const [rounds, threads] = [Number(given.rounds), Number(given.threads)];
const say = (text: string): boolean => process.stdout.write(`${text}\n`);
const MB = 1e6;

if (given.serve) await serve(given.serve);
else for (const name of given.only ? [given.only] : Object.keys(TRAINING_CASES)) await compared(name);
process.exit(0);

async function compared(name: string): Promise<void> {
  const here = fileURLToPath(import.meta.url);
  const more = given.profile ? ['--profile'] : [];
  const ours = await Peer.start(process.execPath, [
    ...process.execArgv,
    ...[here, '--serve', name, '--threads', String(threads), ...more],
  ]);
  if (given.profile) {
    for (let i = 0; i < 4; i++) await ours.step();
    say((await ours.stop()).join('\n'));
    return;
  }
  const python = fileURLToPath(new URL('torch-baselines.py', import.meta.url));
  const theirs = await Peer.start('/usr/bin/python3', [
    python,
    name,
    '--serve',
    '--threads',
    String(threads),
  ]);
  for (let i = 0; i < 2; i++) for (const peer of [ours, theirs]) await peer.step();
  const taken: [Taken[], Taken[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const which of round % 2 === 0 ? [0, 1] : [1, 0])
      taken[which]!.push(await (which === 0 ? ours : theirs).step());
  }
  await Promise.all([ours.stop(), theirs.stop()]);
  const ratio = (of: (t: Taken) => number): string => {
    const [a, b] = taken.map((all) => all.map(of)) as [number[], number[]];
    const times = `${median(a).toFixed(3)} s against ${median(b).toFixed(3)} s`;
    const found = pairedBootstrapRatio(b, a);
    if (!found) return times;
    const { lo, hi } = found.interval;
    return `${times}: ${found.ratio.toFixed(3)} × [${lo.toFixed(3)}, ${hi.toFixed(3)}]`;
  };
  const peaks = taken.map((all) => Math.max(...all.map((t) => t.peak)) / MB) as [number, number];
  say(`${name}, ${rounds} rounds, ${threads} threads`);
  say(`  step       ${ratio((t) => t.seconds)}`);
  say(`  processor  ${ratio((t) => t.cpu)}`);
  say(`  memory     ${peaks[0].toFixed(0)} MB against ${peaks[1].toFixed(0)} MB`);
  say(`  last loss  ${taken[0].at(-1)!.loss.toFixed(4)} against ${taken[1].at(-1)!.loss.toFixed(4)}`);
}

function peakOf(): number {
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}

async function serve(name: string): Promise<void> {
  const backend = onnxruntime('cpu');
  const { model, forward, trainable, batch } = await TRAINING_CASES[name]!();
  const step = await trainingStep(forward, {
    ...{ trainable, optimiser: { kind: 'adamw', weightDecay: 0.01 } },
    ...(backend.training && { target: backend.training }),
  });
  const cacheDir = await mkdtemp(join(tmpdir(), 'versus-bench-train-'));
  try {
    const open = { precision: 'fp32', threads, prove: given.profile } as const;
    const trainer = await Trainer.open(model, step, { backend, open, cacheDir, maxBytes: 4e9 });
    say(JSON.stringify({ ready: true }));
    let t = 0;
    for await (const _ of createInterface({ input: process.stdin })) {
      const start = performance.now();
      const { loss } = await trainer.run(batch, { lr: 1e-3, ...adamCorrections(++t, [0.9, 0.999]) });
      say(JSON.stringify({ seconds: (performance.now() - start) / 1000, loss, peak_rss: peakOf() }));
    }
    if (given.profile) await profiled(trainer);
    await trainer.close();
  } finally {
    await rm(cacheDir, { recursive: true });
  }
}

/** Least milliseconds of the nodes of a step, those of one operator and name pattern together. */
async function profiled(trainer: Trainer): Promise<void> {
  const nodes = (await trainer.session.profile?.()) ?? [];
  const kinds = new Map<string, { ms: number; count: number }>();
  for (const { name, op, ms } of nodes) {
    const kind = `${op} ${name.replace(/\d+/g, '#')}`;
    const { ms: before, count } = kinds.get(kind) ?? { ms: 0, count: 0 };
    kinds.set(kind, { ms: before + Math.min(...ms), count: count + 1 });
  }
  const rows = [...kinds].sort(([, a], [, b]) => b.ms - a.ms);
  say(`${rows.reduce((sum, [, { ms }]) => sum + ms, 0).toFixed(0)} ms in ${nodes.length} nodes`);
  for (const [kind, { ms, count }] of rows.slice(0, 70))
    say(`${ms.toFixed(1).padStart(8)} ms ${String(count).padStart(4)} × ${kind}`);
}
