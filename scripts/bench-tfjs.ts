/**
 * The tfjs backend on our ResNet-50 and ViT-B/16 against a forward pass written by hand in tfjs (scripts/tfjs-peers.ts) and,
 * for ViT, against one tfjs call per node; interleaved A B B A in one process, image in, logits out. The bars: ≤ 1.0 × the peer,
 * ≤ 1 ÷ 1.5 × the naive one; opening ResNet-50 within 1.5 s and ViT-B/16 within 3 s on wasm (in a process of its own, files
 * cached); its peak RSS ≤ 2.5 × weights + activations.
 *
 *   node --import tsx scripts/bench-tfjs.ts [wasm|webgpu] [rounds=6] [model…]
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type EngineName, loadEngine, using } from '../src/backends/tfjs/engine.ts';
import { tfjs } from '../src/backends/tfjs/index.ts';
import type { Artifact } from '../src/core/model.ts';
import { readParam } from '../src/core/read-param.ts';
import { elementCount, float32, type Tensors, toNumbers } from '../src/core/tensor.ts';
import { prepareArtifacts } from '../src/weights/index.ts';
import { findModel } from '../src/zoo/index.ts';
import { naive } from './naive-tfjs.ts';
import { pairedRatio } from './paired.ts';
import { type Peer, resnet50, vitB16 } from './tfjs-peers.ts';

const PEERS: Readonly<Record<string, Peer>> = { 'resnet-50': resnet50, 'vit-b-16': vitB16 };
const say = (text: string): boolean => process.stdout.write(`${text}\n`);
const SIDE = 224;
const image = Float32Array.from({ length: 3 * SIDE * SIDE }, (_, i) => Math.sin(i));
const feeds = { pixel_values: float32([1, 3, SIDE, SIDE], image) };

async function artifactOf(name: string): Promise<Artifact> {
  const options = { cacheDir: '.cache/versus', maxBytes: 12e9, precision: 'fp32' } as const;
  return (await prepareArtifacts(findModel(name)!, options)).model!;
}

async function weightsOf(artifact: Artifact): Promise<Tensors> {
  const source = await artifact.weights();
  const weights: Tensors = {};
  for (const param of (await artifact.graph()).params) {
    if (!param.data) weights[param.name] = await readParam(source, param);
  }
  await source.close();
  return weights;
}

const [first = 'wasm', rounds = '6', ...asked] = process.argv.slice(2);
if (first !== '--open' && !(Number(rounds) >= 3)) throw new Error('a ratio needs at least 3 rounds');
if (first === '--open') await opened(rounds, asked[0] as EngineName);
else {
  for (const name of asked.length > 0 ? asked : Object.keys(PEERS)) {
    await compared(name, first as EngineName, Number(rounds));
    say(
      execFileSync(
        process.execPath,
        [...process.execArgv, fileURLToPath(import.meta.url), '--open', name, first],
        { encoding: 'utf8' },
      ).trim(),
    );
  }
}
process.exit(0);

async function compared(name: string, engineName: EngineName, count: number): Promise<void> {
  const artifact = await artifactOf(name);
  const engine = await loadEngine(engineName);
  const { tf } = engine;
  const weights = await weightsOf(artifact);
  const session = await tfjs(engineName).open(artifact, { precision: 'fp32' });
  const peer = await using(engine, async () => PEERS[name]!(tf, weights, engineName));
  const timed = async (run: () => Promise<ArrayLike<number>>) => {
    const start = performance.now();
    const logits = await run();
    return { ms: performance.now() - start, logits };
  };
  const ours = () => timed(async () => toNumbers((await session.run(feeds)).logits!));
  const theirs = (forward: () => import('@tensorflow/tfjs-core').Tensor) => () =>
    timed(() =>
      using(engine, async () => {
        const result = forward();
        const data = await result.data();
        result.dispose();
        return data;
      }),
    );
  const byHand = theirs(() => peer(image));
  say(
    `${name} on tfjs-${engineName}: largest difference from the peer ${difference((await ours()).logits, (await byHand()).logits)}`,
  );
  const ratio = (other: typeof ours) =>
    pairedRatio(
      async () => (await ours()).ms,
      async () => (await other()).ms,
      { rounds: count, perRound: 2 },
    );
  say(`  ours ÷ by hand: ${await ratio(byHand)}`);
  if (name === 'vit-b-16') {
    const graph = await artifact.graph();
    const plain = await using(engine, async () => naive(tf, graph, weights));
    const node = theirs(() => tf.tidy(() => plain(tf.tensor4d(image, [1, 3, SIDE, SIDE]))));
    say(`  difference from one call per node ${difference((await ours()).logits, (await node()).logits)}`);
    say(`  ours ÷ one call per node: ${await ratio(node)}`);
  }
  await session.close();
}

function difference(a: ArrayLike<number>, b: ArrayLike<number>): string {
  let most = 0;
  let scale = 1;
  for (let i = 0; i < a.length; i++) {
    most = Math.max(most, Math.abs(a[i]! - b[i]!));
    scale = Math.max(scale, Math.abs(b[i]!));
  }
  return `${(most / scale).toExponential(1)} of the scale`;
}

async function opened(name: string, engineName: EngineName): Promise<void> {
  const artifact = await artifactOf(name);
  const graph = await artifact.graph();
  const peak = (): number =>
    Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
  const before = peak();
  const start = performance.now();
  const session = await tfjs(engineName).open(artifact, { precision: 'fp32' });
  const ms = performance.now() - start;
  for (let i = 0; i < 3; i++) await session.run(feeds);
  const weights = graph.params.reduce((sum, { shape }) => sum + elementCount(shape) * 4, 0) / 2 ** 20;
  say(
    `  opened in ${ms.toFixed(0)} ms (tfjs loaded included); peak RSS ${peak().toFixed(0)} MB, ${before.toFixed(0)} of it before, for ${weights.toFixed(0)} MB of weights: ${((peak() - before) / weights).toFixed(2)} ×`,
  );
}
