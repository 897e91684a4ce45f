import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Packed } from '../../src/core/graph.ts';
import { random } from '../../src/core/random.ts';
import { fromBytes, toBytes } from '../../src/core/tensor.ts';
import { inBlocks } from '../../src/weights/blocks.ts';
import { plainBlocks } from './plain-blocks.ts';

const packedOf = (shape: number[], bits: 4 | 8, transposed = false): Packed => ({
  ...{ transposed, bits, holds: 'values', twin: 's' },
  of: { name: 'w', dtype: 'float32', shape, role: 'weight' },
});

function drawn(count: number, seed: number): Float32Array {
  const draw = random(seed);
  return Float32Array.from({ length: count }, () => draw.uniform() * 2 - 1);
}

/** The whole result, from a source whose chunks have `step` numbers; the source overwrites what it gave before. */
async function collect(packed: Packed, weight: Float32Array, step = 1000) {
  const values: Buffer[] = [];
  const scales: Buffer[] = [];
  let reads = 0;
  let largest = 0;
  async function* read(): AsyncGenerator<Uint8Array> {
    reads++;
    const buffer = new Float32Array(Math.min(step, weight.length));
    for (let at = 0; at < weight.length; at += step) {
      const part = weight.subarray(at, at + step);
      buffer.set(part);
      yield toBytes(buffer.subarray(0, part.length));
    }
  }
  for await (const piece of inBlocks(packed, read)) {
    values.push(Buffer.from(piece.values));
    scales.push(Buffer.from(piece.scales));
    largest = Math.max(largest, piece.values.length + piece.scales.length);
  }
  return {
    values: new Uint8Array(Buffer.concat(values)),
    scales: fromBytes('float32', new Uint8Array(Buffer.concat(scales))) as Float32Array,
    reads,
    largest,
  };
}

const sizes = fc.record({
  n: fc.integer({ min: 1, max: 9 }),
  k: fc.integer({ min: 1, max: 130 }),
  bits: fc.constantFrom(4 as const, 8 as const),
  transposed: fc.boolean(),
  step: fc.integer({ min: 1, max: 700 }),
  seed: fc.nat(1e6),
});

describe('a weight in blocks', () => {
  it('is what a plain quantiser makes of it, wherever chunks of the stream end', () =>
    fc.assert(
      fc.asyncProperty(sizes, async ({ n, k, bits, transposed, step, seed }) => {
        const weight = drawn(n * k, seed);
        const packed = packedOf(transposed ? [k, n] : [n, k], bits, transposed);
        const { values, scales } = await collect(packed, weight, step);
        const plain = plainBlocks(n, k, bits, (row, i) => weight[transposed ? i * n + row : row * k + i]!);
        expect(scales).toEqual(plain.scales);
        // A number halfway between two levels may go either way.
        expect(values.length).toBe(plain.values.length);
        const apart = values.filter((v, i) => v !== plain.values[i]).length;
        expect(apart).toBeLessThanOrEqual(n * k * 1e-3);
      }),
      { numRuns: 60 },
    ));

  it('is at most half a level off, but for what the missing top level clamps', () =>
    fc.assert(
      fc.asyncProperty(sizes, async ({ n, k, bits, seed }) => {
        const weight = drawn(n * k, seed);
        const half = 2 ** (bits - 1);
        const { scales, values } = await collect(packedOf([n, k], bits), weight);
        const blocks = Math.ceil(k / 32);
        for (let row = 0; row < n; row++) {
          for (let i = 0; i < k; i++) {
            const scale = scales[row * blocks + Math.floor(i / 32)]!;
            const at = row * blocks * 32 + i;
            const level = bits === 8 ? values[at]! : (values[at >> 1]! >> (4 * (at & 1))) & 15;
            const w = weight[row * k + i]!;
            const error = Math.abs(w - (level - half) * scale);
            const allowed = level === 2 * half - 1 ? Math.abs(scale) : Math.abs(scale) / 2;
            expect(error).toBeLessThanOrEqual(allowed * (1 + 1e-6));
            // The number furthest from zero is exact.
            if (Math.abs(w) === Math.abs(scale) * half && level === 0) expect(error).toBe(0);
          }
        }
      }),
      { numRuns: 30 },
    ));

  it('is made of pieces of a few MiB, whatever its size', async () => {
    const [n, k] = [1100, 1024];
    const weight = drawn(n * k, 1);
    const rows = await collect(packedOf([n, k], 4), weight, 1 << 20);
    expect(rows.largest).toBeLessThan(1 << 20);
    const plain = plainBlocks(n, k, 4, (row, i) => weight[row * k + i]!);
    expect(Buffer.compare(rows.values, plain.values)).toBe(0);
    expect((await collect(packedOf([k, n], 8, true), weight, 1 << 20)).reads).toBe(1);
    // Columns of more than the buffer: the source is read twice instead of being held.
    const wide = await collect(packedOf([64, 70_000], 8, true), drawn(64 * 70_000, 2), 1 << 20);
    expect(wide.reads).toBe(2);
    expect(wide.values.length).toBe(64 * 70_000);
  });

  it('keeps zeros, and blocks of one number', async () => {
    const weight = new Float32Array(64);
    weight[40] = -3;
    const { values, scales } = await collect(packedOf([1, 64], 4), weight);
    expect([...scales]).toEqual([0, 0.375]);
    expect(values[0]).toBe(0x88);
    expect(values[16 + 4]).toBe(0x80);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('refuses %f', async (bad) => {
    const weight = drawn(96, 3);
    weight[77] = bad;
    for (const bits of [4, 8] as const) {
      await expect(collect(packedOf([1, 96], bits), weight)).rejects.toThrow(/not finite/);
      await expect(collect(packedOf([96, 1], bits, true), weight)).rejects.toThrow(/not finite/);
    }
  });

  it('does not invent what the source does not give', async () => {
    const { values } = await collect(packedOf([3, 64], 8), drawn(2 * 64 + 5, 4));
    expect(values.length).toBe(2 * 64);
    expect((await collect(packedOf([64, 3], 8, true), drawn(64 * 3 - 1, 4))).values.length).toBe(0);
  });
});
