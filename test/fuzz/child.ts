/**
 * The process that a backend runs in, so that a crash of a native runtime ends this and not the fuzzer. Arguments: the config
 * file and the backend's name. Takes models one at a time and answers each. Without a name it tells which backends there are.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '../../src/core/backend.ts';
import { reasonOf, VersusError } from '../../src/core/errors.ts';
import type { Artifact } from '../../src/core/model.ts';
import type { Tensors } from '../../src/core/tensor.ts';
import { openOnnx } from '../../src/graph/onnx/index.ts';
import { backendNamed, probedBackends } from './backends.ts';
import type { Outcome } from './outcome.ts';

export interface Task {
  readonly model: Uint8Array;
  readonly feeds: Tensors;
}

const folder = mkdtempSync(join(tmpdir(), 'versus-fuzz-child-'));
let count = 0;

async function run(backend: Backend, { model, feeds }: Task): Promise<Outcome> {
  const path = join(folder, `${count++}.onnx`);
  writeFileSync(path, model);
  const artifact: Artifact = {
    model: 'fuzz',
    graphName: 'model',
    path,
    sha256: `${process.pid}-${count}`,
    graph: async () => (await openOnnx(path)).graph,
    weights: async () => (await openOnnx(path)).weights,
  };
  try {
    const session = await backend.open(artifact, { precision: 'fp32', threads: 1 });
    try {
      return { is: 'values', tensors: await session.run(feeds) };
    } finally {
      await session.close();
    }
  } catch (error) {
    const kind = error instanceof VersusError ? error.kind : 'internal';
    return { is: 'error', kind, message: reasonOf(error) };
  } finally {
    rmSync(path, { force: true });
  }
}

process.on('disconnect', () => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
});
const [config, name] = process.argv.slice(2) as [string, string | undefined];
if (name === undefined) process.send!(await probedBackends(config));
else {
  const backend = await backendNamed(config, name);
  process.on('message', async (task: Task) => {
    const outcome = await run(backend, task);
    process.send!(outcome);
  });
  process.send!('ready');
}
