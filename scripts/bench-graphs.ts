/**
 * Our zoo's graphs against the same models exported by torch.onnx.export, both in onnxruntime cpu, in one process,
 * interleaved A B B A. Prints the ratio of medians (ours ÷ torch's) with a paired bootstrap interval over rounds; ≤ 1.02 is the bar.
 *
 *   /usr/bin/python3 scripts/torch-export.py /tmp/torch
 *   node --import tsx scripts/bench-graphs.ts /tmp/torch [rounds]
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { prepareArtifacts } from '../src/weights/index.ts';
import { findModel } from '../src/zoo/index.ts';
import { pairedRatio } from './paired.ts';

const PAIRS = [
  ['resnet-50', 'resnet50'],
  ['vit-b-16', 'vit_b_16'],
  ['swin-t', 'swin_t'],
  ['convnext-t', 'convnext_tiny'],
] as const;
const [dir, rounds = '12'] = process.argv.slice(2);
if (dir === undefined || dir === '--help') {
  process.stdout.write('usage: node --import tsx scripts/bench-graphs.ts TORCH_EXPORT_DIR [rounds]\n');
  process.exit(dir === undefined ? 2 : 0);
}

const options: InferenceSession.SessionOptions = { executionProviders: ['cpu'], intraOpNumThreads: 2 };
const input = new Tensor(
  'float32',
  Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => Math.sin(i)),
  [1, 3, 224, 224],
);

for (const [ours, theirs] of PAIRS) {
  const path = join(dir, `${theirs}.onnx`);
  if (!existsSync(path)) {
    process.stdout.write(`${ours}: no ${path}, left out\n`);
    continue;
  }
  const artifacts = await prepareArtifacts(findModel(ours)!, {
    cacheDir: '.cache/versus',
    maxBytes: 12e9,
    precision: 'fp32',
  });
  const a = await InferenceSession.create(artifacts.model!.path, options);
  const b = await InferenceSession.create(path, options);
  const run = async (session: InferenceSession): Promise<number> => {
    const feeds = { [session.inputNames[0]!]: input };
    const start = performance.now();
    await session.run(feeds);
    return performance.now() - start;
  };
  const result = await pairedRatio(
    () => run(a),
    () => run(b),
    { rounds: Number(rounds), perRound: 7 },
  );
  process.stdout.write(`${ours} ÷ torch export: ${result}\n`);
  await a.release();
  await b.release();
}
