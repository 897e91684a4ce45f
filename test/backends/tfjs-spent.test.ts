import { describe, expect, it } from 'vitest';
import { loadEngine } from '../../src/backends/tfjs/engine.ts';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import type { Graph } from '../../src/core/graph.ts';
import { float32, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { workplace } from './artifact.ts';

const noise = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898 + seed) * 0.1);

/** Convolutions with and without strides, a point-wise one, and products on both layouts of the weight, all large enough to be packed. */
function network(): Graph {
  const g = new GraphBuilder('packed');
  const x = g.input('x', 'float32', ['batch', 16, 'height', 'width']);
  const weight = (name: string, shape: number[]) =>
    g.constant(
      float32(
        shape,
        noise(
          shape.reduce((a, b) => a * b, 1),
          name.length,
        ),
      ),
      name,
    );
  const a = g.relu(g.conv(x, weight('three', [128, 16, 3, 3]), null, { pads: [1, 1, 1, 1] }));
  const b = g.conv(a, weight('point', [160, 128, 1, 1]), null, {});
  const c = g.conv(b, weight('strided', [32, 160, 2, 2]), null, { strides: [2, 2] });
  const rows = g.transpose(c, [0, 2, 3, 1]);
  const d = g.matmul(rows, weight('matrix', [32, 640]));
  g.output('pixels', d);
  g.output(
    'rows',
    g.gemm(g.flatten(g.reduceMean(d, [1, 2])), weight('linear', [48, 640]), null, { transB: 1 }),
  );
  return g.build();
}

const feeds = (batch: number, side: number): Tensors => ({
  x: float32([batch, 16, side, side], noise(batch * 16 * side * side, batch + side)),
});

function near(got: Tensors, expected: Tensors): void {
  for (const [name, tensor] of Object.entries(expected)) {
    expect(got[name]!.shape).toEqual(tensor.shape);
    const [a, b] = [toNumbers(got[name]!), toNumbers(tensor)];
    const scale = b.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3);
    expect(a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i]!)), 0)).toBeLessThan(1e-5 * scale);
  }
}

describe('weights that the wasm engine has packed', () => {
  const files = workplace();

  it('compute the same for any batch and size, run after run, while other sessions take their memory', async () => {
    const graph = network();
    const sizes = [
      [1, 8],
      [3, 4],
      [1, 8],
      [2, 6],
      [1, 8],
    ] as const;
    const first = await tfjs('wasm').open(await files.write(graph), { precision: 'fp32' });
    for (const [batch, side] of sizes) {
      const expected = interpret(graph, {}, feeds(batch, side));
      near(await first.run(feeds(batch, side)), expected);
      const other = await tfjs('wasm').open(await files.write(graph), { precision: 'fp32' });
      near(await other.run(feeds(batch, side)), expected);
      near(await other.run(feeds(batch, side)), expected);
      await other.close();
      near(await first.run(feeds(batch, side)), expected);
    }
    await first.close();
  });

  it('are let go with their session', async () => {
    const { tf } = await loadEngine('wasm');
    const heap = (): number =>
      (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.byteLength;
    const artifact = await files.write(network());
    const open = async (): Promise<void> => {
      const session = await tfjs('wasm').open(artifact, { precision: 'fp32' });
      await session.run(feeds(1, 8));
      await session.close();
    };
    for (let i = 0; i < 5; i++) await open();
    const before = heap();
    for (let i = 0; i < 60; i++) await open();
    expect(heap()).toBe(before);
  });
});
