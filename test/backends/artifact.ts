import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import type { Artifact } from '../../src/core/model.ts';
import { encodeOnnx, openOnnx } from '../../src/graph/onnx/index.ts';

/** An ONNX file as the engine hands it to a backend. */
export function artifactAt(path: string, model = 'test'): Artifact {
  return {
    model,
    graphName: 'model',
    path,
    sha256: '00',
    graph: async () => (await openOnnx(path)).graph,
    weights: async () => (await openOnnx(path)).weights,
  };
}

/** A folder that lasts as long as the test file, and files of graphs in it. */
export function workplace(): {
  write(graph: Graph): Promise<Artifact>;
  raw(name: string, bytes: Uint8Array): Promise<Artifact>;
} {
  const root = mkdtemp(join(tmpdir(), 'versus-backend-test-'));
  afterAll(async () => rm(await root, { recursive: true, force: true }));
  let count = 0;
  async function raw(name: string, bytes: Uint8Array): Promise<Artifact> {
    const dir = join(await root, String(count++));
    await mkdir(dir);
    const path = join(dir, `${name}.onnx`);
    await writeFile(path, bytes);
    return artifactAt(path, name);
  }
  return { raw, write: (graph) => raw(graph.name, encodeOnnx(graph)) };
}
