/**
 * What the harness costs: the median of a case timed by versus (session, step, tinybench loop) against a bare onnxruntime
 * loop, in one process, in turns. Tasks of about 1 ms and of tens of milliseconds; ≤ 1.01 is the bar.
 *
 *   node --import tsx scripts/bench-harness.ts [rounds]
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxruntime } from '../src/backends/onnxruntime/index.ts';
import type { Session } from '../src/core/backend.ts';
import type { ModelDef } from '../src/core/model.ts';
import type { PhaseSamples } from '../src/core/record.ts';
import { float32 } from '../src/core/tensor.ts';
import type { Activity } from '../src/core/workload.ts';
import { measure } from '../src/run/measure.ts';
import { median } from '../src/stats/order.ts';
import { prepareArtifacts } from '../src/weights/index.ts';
import { matmulPeak } from '../src/workloads/peak.ts';
import { pairedRatio } from './paired.ts';

const rounds = Number(process.argv[2] ?? '40');

/** A chain of products that takes about a millisecond, and one of tens of milliseconds. */
const TASKS: readonly { name: string; size: number; chain: number; perRound: number }[] = [
  { name: '≈ 1 ms', size: 256, chain: 3, perRound: 200 },
  { name: 'tens of ms', size: 1024, chain: 2, perRound: 12 },
];

for (const { name, size, chain, perRound } of TASKS) {
  const model: ModelDef = { ...(matmulPeak as ModelDef), name: `matmul-${size}`, config: { size, chain } };
  const artifacts = await prepareArtifacts(model, {
    cacheDir: '.cache/versus',
    maxBytes: 12e9,
    precision: 'fp32',
  });
  const artifact = artifacts.model!;
  const values = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i));
  const session = await onnxruntime('cpu').open(artifact, { precision: 'fp32', threads: 2 });
  const bare = await InferenceSession.create(artifact.path, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 2,
  });

  const feeds = { x: new Tensor('float32', values, [size, size]) };
  const bareMedian = async (): Promise<number> => {
    const ms: number[] = [];
    for (let i = 0; i < perRound; i++) {
      const start = performance.now();
      await bare.run(feeds);
      ms.push(performance.now() - start);
    }
    return median(ms);
  };
  const activity = activityOf(session, { x: float32([size, size], values) });
  const versusMedian = async (): Promise<number> => {
    const all: PhaseSamples[] = [];
    const limits = { minTimeMs: 0, minRepetitions: perRound, warmupRepetitions: 1 };
    await measure(activity, limits, (samples) => all.push(...samples));
    return median(all.flatMap((s) => s.ms));
  };
  const result = await pairedRatio(versusMedian, bareMedian, { rounds, perRound: 1 });
  process.stdout.write(`${name}: versus ÷ bare loop = ${result} (${perRound} runs each)\n`);
  await session.close();
  await bare.release();
}

function activityOf(session: Session, feeds: Parameters<Session['run']>[0]): Activity {
  return {
    async *steps() {
      yield { phase: 'infer', items: 1, run: () => session.run(feeds) };
    },
    outputs: () => session.run(feeds),
    close: () => session.close(),
  };
}
