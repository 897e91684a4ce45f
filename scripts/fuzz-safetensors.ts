/**
 * Damages safetensors files at random and reads them: each must open and read in full or be refused with a VersusError, in
 * bounded memory. Usage: `node --import tsx scripts/fuzz-safetensors.ts [mutations=100000] [seed=1]`; exit 1 on a finding.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VersusError } from '../src/core/errors.ts';
import { random } from '../src/core/random.ts';
import { readSafetensors } from '../src/weights/safetensors.ts';
import { mutate } from '../test/weights/mutations.ts';

const mutations = Number(process.argv[2] ?? 100_000);
const seed = Number(process.argv[3] ?? 1);
const bases = [
  'test/fixtures/tv-resnet_bottleneck/weights.safetensors',
  'test/fixtures/tv-resnet_bottleneck/io.safetensors',
].map((path) => join(import.meta.dirname, '..', path));

const folder = await mkdtemp(join(tmpdir(), 'versus-fuzz-'));
const victim = join(folder, 'mutant.safetensors');
const r = random(seed);
const files = await Promise.all(bases.map(async (path) => new Uint8Array(await readFile(path))));
let refused = 0;
let worstBytes = 0;
let failures = 0;
for (let i = 0; i < mutations; i++) {
  // Often several damages on top of each other: one alone rarely gets past the first check.
  let bytes: Uint8Array = r.pick(files);
  for (let n = 1 + r.below(2); n > 0 && bytes.length > 8; n--) {
    try {
      bytes = mutate(bytes, r);
    } catch {
      // The damage before left no header to aim at; one damage it is.
    }
  }
  await writeFile(victim, bytes);
  try {
    await readSafetensors(victim);
  } catch (error) {
    refused++;
    if (!(error instanceof VersusError && error.kind === 'input')) {
      failures++;
      const keep = join(tmpdir(), `versus-fuzz-finding-${seed}-${i}.safetensors`);
      await writeFile(keep, bytes);
      process.stderr.write(`${keep}: ${error instanceof Error ? error.stack : String(error)}\n`);
    }
  }
  worstBytes = Math.max(worstBytes, process.memoryUsage.rss());
}
await rm(folder, { recursive: true });
process.stdout.write(
  `${mutations} mutations: ${refused} refused, ${mutations - refused} read in full, ${failures} findings; peak RSS ${Math.round(worstBytes / 2 ** 20)} MiB\n`,
);
process.exitCode = failures === 0 ? 0 : 1;
