import { rename, rm, writeFile } from 'node:fs/promises';
import type { Graph } from '../../core/graph.ts';
import { type EncodeOptions, encodeOnnx } from './encode.ts';

/**
 * Writes a graph as an ONNX file. It appears whole or not at all: another process never sees half of it.
 *
 * @param options.external places of parameters in a file beside it (`weights.safetensors`); the rest is written inline
 * @throws VersusError `input` as `encodeOnnx`
 */
export async function writeOnnx(path: string, graph: Graph, options: EncodeOptions = {}): Promise<void> {
  const bytes = encodeOnnx(graph, options);
  const draft = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(draft, bytes);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
