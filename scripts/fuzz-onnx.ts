/**
 * Feeds mutated ONNX files (half of them with their bytes changed, half with their contents) to everything that reads them. Usage: tsx scripts/fuzz-onnx.ts [n = 100000] [seed = 1]
 * Prints what happened, and exits with 1 at the first error that is not a VersusError, or a mutation that takes over 2 s of processor time.
 * That mutation is left in the temporary folder that is printed.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VersusError } from '../src/core/errors.ts';
import { random } from '../src/core/random.ts';
import { encodeOnnx, openOnnx } from '../src/graph/onnx/index.ts';
import { corpus, graphs } from '../test/graph/onnx/corpus.ts';
import { exercise } from '../test/graph/onnx/exercise.ts';
import { mutateGraph } from '../test/graph/onnx/graph-mutations.ts';
import { mutate } from '../test/graph/onnx/mutations.ts';

const SLOW_MS = 2000;
const count = Number(process.argv[2] ?? 100_000);
const draw = random(Number(process.argv[3] ?? 1));
const seeds = corpus();
const sources = graphs();
const folder = mkdtempSync(join(tmpdir(), 'versus-fuzz-'));
const path = join(folder, 'model.onnx');
const outcomes = { accepted: 0, refused: 0 };

async function attempt(bytes: Uint8Array, onDisk: boolean): Promise<void> {
  try {
    exercise(bytes);
    outcomes.accepted++;
  } catch (error) {
    if (!(error instanceof VersusError)) throw error;
    outcomes.refused++;
  }
  if (!onDisk) return;
  writeFileSync(path, bytes);
  try {
    const { weights } = await openOnnx(path);
    await weights.close();
  } catch (error) {
    if (!(error instanceof VersusError)) throw error;
  }
}

async function main(): Promise<number> {
  const began = performance.now();
  for (let i = 0; i < count; i++) {
    const bytes =
      i % 2 === 0 ? mutate(draw.pick(seeds), draw) : encodeOnnx(mutateGraph(draw.pick(sources), draw));
    const start = process.cpuUsage();
    let problem: unknown;
    try {
      await attempt(bytes, i % 8 === 0);
      const { user, system } = process.cpuUsage(start);
      if (user + system > 1000 * SLOW_MS)
        problem = `took ${Math.round((user + system) / 1000)} ms of processor time`;
    } catch (error) {
      problem = error;
    }
    if (problem === undefined) continue;
    writeFileSync(path, bytes);
    process.stderr.write(
      `mutation ${i} (kept as ${path}): ${problem instanceof Error ? problem.stack : problem}\n`,
    );
    return 1;
  }
  rmSync(folder, { recursive: true });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const peak = Math.round(process.resourceUsage().maxRSS / 1024);
  process.stdout.write(
    `${count} mutations in ${seconds} s: ${outcomes.accepted} still valid, ${outcomes.refused} refused, peak memory ${peak} MiB\n`,
  );
  return 0;
}

process.exitCode = await main();
