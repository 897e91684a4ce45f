import { describe, expect, it } from 'vitest';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { Graph } from '../../src/core/graph.ts';
import { float32, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { workplace } from './artifact.ts';
import { backendContract } from './contract.ts';

const webgpu = onnxruntime('webgpu');
await backendContract(webgpu);

const availability = await webgpu.probe();
const reason = availability.available ? '' : ` (skipped: ${availability.reason})`;

describe.skipIf(!availability.available)(`convolutions on onnxruntime-webgpu${reason}`, () => {
  const files = workplace();
  const noise = (n: number, seed: number): Float32Array =>
    Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898 + seed));

  function convolution(channels: number, filters: number, side: number, strides: number): Graph {
    const g = new GraphBuilder('convolution');
    const x = g.input('x', 'float32', [1, channels, 9, 9]);
    const weight = float32([filters, channels, side, side], noise(filters * channels * side ** 2, 1));
    g.output('y', g.conv(x, g.constant(weight, 'w'), null, { strides: [strides, strides] }));
    return g.build();
  }

  /** The largest difference from the reference, and the layout that the backend chose. */
  async function run(backend: Backend, graph: Graph, channels: number) {
    const feeds = { x: float32([1, channels, 9, 9], noise(channels * 81, 2)) };
    const session = await backend.open(await files.write(graph), { precision: 'fp32' });
    const found = toNumbers((await session.run(feeds)).y!);
    await session.close();
    const wanted = toNumbers(interpret(graph, {}, feeds).y!);
    const error = found.reduce((most, v, i) => Math.max(most, Math.abs(v - wanted[i]!)), 0);
    return { error, layout: session.options.providerOptions ?? null };
  }

  it.each([
    [3, 4, 3, 1],
    [4, 8, 3, 1],
    [6, 12, 3, 1],
    [6, 8, 2, 2],
    [9, 4, 5, 1],
    [15, 16, 3, 2],
    [6, 12, 1, 1],
  ])('of %i channels, %i filters of %i and stride %i are right, channels first where they must be', async (channels, filters, side, stride) => {
    const { error, layout } = await run(webgpu, convolution(channels, filters, side, stride), channels);
    expect(error).toBeLessThan(1e-4);
    const isHit = channels > 3 && channels % 3 === 0 && side > 1;
    expect(layout).toBe(isHit ? '{"preferredLayout":"NCHW"}' : null);
  });

  it('are still wrong with channels last where 3, but not 4, divides the channels: else this is not needed any more', async () => {
    const last = onnxruntime('webgpu', { provider: { preferredLayout: 'NHWC' } });
    const { error, layout } = await run(last, convolution(6, 12, 3, 1), 6);
    expect(layout).toBe('{"preferredLayout":"NHWC"}');
    expect(error).toBeGreaterThan(0.1);
  });
});
