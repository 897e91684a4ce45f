/**
 * Memory of training steps on onnxruntime's CPU, predicted from the step graph and measured: by how much a process of its own grows
 * over the opened session (VmHWM, reset by /proc/self/clear_refs), so on Linux only.
 *
 *     node --expose-gc --import ./src/loader.mjs scripts/training-memory.ts [CASE …]
 *
 * Prints a line of JSON per case; bytes.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { measuredStep } from './step-memory.ts';
import { TRAINING_CASES } from './training-cases.ts';

const [command, ...rest] = process.argv.slice(2);
if (command === 'measure') {
  const measured = await measuredStep(await TRAINING_CASES[rest[0]!]!(), rest[1]!);
  process.stdout.write(`${JSON.stringify({ case: rest[0], ...measured })}\n`);
} else {
  const known = Object.keys(TRAINING_CASES);
  const asked = [command, ...rest].filter((name) => name !== undefined);
  const dir = await mkdtemp(join(tmpdir(), 'versus-training-memory-'));
  try {
    for (const name of asked.length > 0 ? asked : known) {
      const own = [...process.execArgv, import.meta.filename, 'measure', name, dir];
      const { stdout } = await promisify(execFile)(process.execPath, own);
      process.stdout.write(stdout);
    }
  } finally {
    await rm(dir, { recursive: true });
  }
}
