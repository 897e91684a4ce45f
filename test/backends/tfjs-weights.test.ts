import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadEngine } from '../../src/backends/tfjs/engine.ts';
import { filtersLast } from '../../src/backends/tfjs/filters-last.ts';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import { prepared } from '../../src/backends/tfjs/prepare.ts';
import { VersusError } from '../../src/core/errors.ts';
import type { Graph, Param } from '../../src/core/graph.ts';
import { elementCount, float32, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { workplace } from './artifact.ts';

const noise = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898 + seed) * 0.1);

const MB = 2 ** 20;

describe('filters in the order of the engines', () => {
  it('are the same numbers in other places, whatever their sizes', () => {
    const few = fc.integer({ min: 1, max: 35 });
    const channelsOf = fc.oneof(few, fc.integer({ min: 250, max: 530 }));
    fc.assert(
      fc.property(few, channelsOf, fc.integer({ min: 1, max: 9 }), (filters, channels, taps) => {
        const from = noise(filters * channels * taps, 1);
        const to = new Float32Array(from.length);
        filtersLast(from, filters, channels, taps, to);
        for (let f = 0; f < filters; f++)
          for (let c = 0; c < channels; c++)
            for (let t = 0; t < taps; t++)
              if (to[(t * channels + c) * filters + f] !== from[(f * channels + c) * taps + t]) return false;
        return true;
      }),
    );
  });
});

/** Products and convolutions with 4 MB of weights each; padding, strides, dilations and biases differ. */
function heavy(layers: number): Graph {
  const g = new GraphBuilder('heavy');
  let rows = g.input('rows', 'float32', ['batch', 1024]);
  let image = g.input('image', 'float32', ['batch', 1024, 'height', 'width']);
  for (let i = 0; i < layers; i++) {
    const weight = (shape: number[]) => g.constant(float32(shape, noise(MB, i)), `w${shape.length}.${i}`);
    const bias = i % 2 === 0 ? g.constant(float32([1024], noise(1024, -i)), `b${i}`) : null;
    rows =
      i % 3 === 0
        ? g.matmul(rows, weight([1024, 1024]))
        : g.gemm(rows, weight([1024, 1024]), bias, { transB: i % 3 === 1 ? 1 : 0 });
    image = g.conv(image, weight([1024, 1024, 1, 1]), bias, {});
  }
  g.output('products', rows);
  g.output('images', image);
  return g.build();
}

describe('weights on the engine wasm', () => {
  const files = workplace();

  it('are there once from the start: neither opening nor running takes room for them twice', async () => {
    const { tf } = await loadEngine('wasm');
    const heap = (): number =>
      (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.byteLength;
    const graph = heavy(4);
    const before = heap();
    const session = await tfjs('wasm').open(await files.write(graph), { precision: 'fp32' });
    const feeds = {
      rows: float32([1, 1024], noise(1024, 3)),
      image: float32([1, 1024, 2, 2], noise(4096, 4)),
    };
    const opened = heap();
    const found = await session.run(feeds);
    // 32 MB; the engine takes a fifth more than it needs whenever it needs more.
    expect(opened - before).toBeLessThan(32 * MB * 1.35);
    expect(heap()).toBe(opened);
    const wanted = interpret(graph, {}, feeds);
    for (const [name, tensor] of Object.entries(wanted)) {
      const [a, b] = [toNumbers(found[name]!), toNumbers(tensor)];
      const scale = b.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-6);
      expect(a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i]!)), 0)).toBeLessThan(2e-5 * scale);
    }
    await session.close();
  });
});

describe('weights that cannot be read', () => {
  const files = workplace();

  it('say so, whichever it is of them, and leave nothing on the engine', async () => {
    const artifact = await files.write(heavy(2));
    const { tf } = await loadEngine('wasm');
    const before = tf.memory().numTensors;
    for (const bad of [0, 2, 3]) {
      let [read, reading, closed] = [0, 0, 0];
      const weights = async () => {
        const source = await artifact.weights();
        return {
          ...source,
          async *read(param: Param) {
            const isBad = elementCount(param.shape) === MB && read++ === bad;
            reading++;
            // As long as another thread takes.
            await new Promise((resolve) => setTimeout(resolve, 5));
            reading--;
            if (isBad) throw new VersusError('input', 'a disk that fails', { where: param.name });
            yield* source.read(param);
          },
          close: async () => {
            expect(reading).toBe(0);
            closed++;
            await source.close();
          },
        };
      };
      const opening = tfjs('wasm').open({ ...artifact, weights }, { precision: 'fp32' });
      await expect(opening).rejects.toThrow('a disk that fails');
      expect(closed).toBe(1);
      expect(tf.memory().numTensors).toBe(before);
    }
  });
});

describe('numbers that are lent', () => {
  const files = workplace();

  it('are those that are read, also where a normalisation is folded into them', async () => {
    const g = new GraphBuilder('normed');
    const x = g.input('x', 'float32', [1, 4, 6, 6]);
    const constant = (name: string, shape: number[], shift = 0) => {
      const data = noise(
        shape.reduce((a, b) => a * b, 1),
        name.length,
      ).map((v) => v + shift);
      return g.constant(float32(shape, data), name);
    };
    const y = g.conv(x, constant('weights', [32, 4, 3, 3]), null, {});
    const normed = g.batchNorm(
      y,
      constant('a', [32], 1),
      constant('bb', [32]),
      constant('ccc', [32]),
      constant('dddd', [32], 1),
      1e-3,
    );
    g.output('z', g.conv(normed, constant('second', [40, 32, 3, 3]), null, {}));
    const artifact = await files.write(g.build());
    const { params, numbers, close } = await prepared(await artifact.graph(), artifact, 'all');
    expect(params.some((p) => p.name.endsWith('/folded') && p.data === undefined)).toBe(true);
    const expected = [];
    for (const param of params) expected.push(toNumbers(await numbers.read(param)));
    // Twice and in turn, the next one always on its way: each is read over the one before the last.
    const turns = [...params.entries(), ...params.entries()];
    let next = numbers.borrow!(turns[0]![1]);
    for (const [turn, [i]] of turns.entries()) {
      const tensor = await next;
      const [, after] = turns[turn + 1] ?? turns[0]!;
      next = numbers.borrow!(after);
      await next;
      expect(toNumbers(tensor)).toEqual(expected[i]);
    }
    await close();
  });
});

describe('a convolution whose window is as wide as it likes', () => {
  const files = workplace();

  it('takes no memory before an image is there that it fits into', async () => {
    const g = new GraphBuilder('wide');
    const x = g.input('x', 'float32', [1, 64, 'height', 'width']);
    const weight = g.constant(float32([64, 64, 2, 2], noise(2 ** 14, 1)), 'w');
    g.output('y', g.conv(x, weight, null, { dilations: [4_000_000, 4_000_000] }));
    const session = await tfjs('wasm').open(await files.write(g.build()), { precision: 'fp32' });
    const image = { x: float32([1, 64, 3, 3], noise(576, 2)) };
    await expect(session.run(image)).rejects.toThrow(/does not fit into 3/);
    await session.close();
  });
});
