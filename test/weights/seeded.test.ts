import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Param } from '../../src/core/graph.ts';
import type { WeightSource } from '../../src/core/model.ts';
import {
  bytesPerElement,
  type DType,
  elementCount,
  fromBytes,
  fromFloat16,
  toFloat16,
} from '../../src/core/tensor.ts';
import { defaultInit, seeded } from '../../src/weights/seeded.ts';

const param = (name: string, shape: number[], more: Partial<Param> = {}): Param => ({
  name,
  shape,
  dtype: 'float32',
  role: 'weight',
  ...more,
});
const uniform = { kind: 'uniform', std: 0.02 } as const;

async function bytesOf(source: WeightSource, p: Param, into?: Uint8Array): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source.read(p, into)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

describe('seeded', () => {
  it('gives the same bytes on every machine', async () => {
    const p = param('encoder.layers.0.weight', [33, 7], { init: uniform });
    const source = await seeded().open([p]);
    expect(sha(await bytesOf(source, p))).toBe('7ee9f337840ad3eb');
    expect(sha(await bytesOf(source, { ...p, dtype: 'float16' }))).toBe('b18f98417eee5c06');
    expect(sha(await bytesOf(await seeded(1).open([p]), p))).toBe('7c92eb79c5e72222');
    const large = param('large', [1500, 1001], { init: uniform });
    expect(sha(await bytesOf(source, large))).toBe('8c2537eb23ccc1ba');
    expect(source.id).toBe('seeded-1-0-e8585f8bd4da717e183d7bf7bfd1781e');
  });

  it('has the asked spread, no memory of other parameters, and a stream per name', async () => {
    const p = param('a', [500, 1000], { init: uniform });
    const source = await seeded().open([p]);
    const values = fromBytes('float32', new Uint8Array(await bytesOf(source, p))) as Float32Array;
    let sum = 0;
    let squares = 0;
    let largest = 0;
    for (const v of values) {
      sum += v;
      squares += v * v;
      largest = Math.max(largest, Math.abs(v));
    }
    // Standard errors: mean 0.02/√5e5 = 2.8e-5; the variance of a uniform has relative error √(0.8/5e5) = 1.3e-3.
    expect(Math.abs(sum / values.length)).toBeLessThan(1.5e-4);
    expect(Math.abs(Math.sqrt(squares / values.length) / 0.02 - 1)).toBeLessThan(4e-3);
    expect(largest).toBeLessThanOrEqual(Math.fround(0.02 * Math.sqrt(3)));
    expect(await bytesOf(source, param('b', [3], { init: uniform }))).not.toEqual(
      await bytesOf(source, param('a', [3], { init: uniform })),
    );
    expect((await bytesOf(source, p)).equals(await bytesOf(await seeded().open([]), p))).toBe(true);
  });

  it('gives the same bytes whatever the buffer', async () => {
    const source = await seeded().open([]);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<DType>('float32', 'float16', 'bfloat16', 'float64'),
        fc.nat(300),
        fc.integer({ min: 4, max: 64 }),
        fc.boolean(),
        async (dtype, n, room, constant) => {
          const init = constant ? ({ kind: 'constant', value: 0.5 } as const) : uniform;
          const p = param('x', [n], { dtype, init });
          const whole = await bytesOf(source, p);
          expect(whole.length).toBe(n * bytesPerElement(dtype));
          const buffer = new Uint8Array(room * bytesPerElement(dtype));
          expect(await bytesOf(source, p, buffer)).toEqual(whole);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('rounds half precision from the float32 numbers', async () => {
    const p = param('x', [1000], { init: { kind: 'uniform', std: 1e-4 } });
    const source = await seeded().open([p]);
    const floats = fromBytes('float32', new Uint8Array(await bytesOf(source, p))) as Float32Array;
    const half = { ...p, dtype: 'float16' } as const;
    const halves = fromBytes('float16', new Uint8Array(await bytesOf(source, half))) as Uint16Array;
    expect([...halves]).toEqual([...floats].map(toFloat16));
    expect(fromFloat16(halves[0]!)).toBeCloseTo(floats[0]!, 6);
  });

  it('fills constants of any type, and chooses where nothing is said', async () => {
    const source = await seeded().open([]);
    const ints = param('n', [3], { dtype: 'int64', init: { kind: 'constant', value: 5 } });
    expect(fromBytes('int64', new Uint8Array(await bytesOf(source, ints)))).toEqual(
      BigInt64Array.of(5n, 5n, 5n),
    );
    const half = param('s', [], { dtype: 'float16', init: { kind: 'constant', value: 2 } });
    expect(fromBytes('float16', new Uint8Array(await bytesOf(source, half)))).toEqual(Uint16Array.of(0x4000));
    expect(defaultInit(param('fc.weight', [10, 64]))).toEqual({ kind: 'uniform', std: 1 / 8 });
    expect(defaultInit(param('conv.weight', [10, 4, 2, 2]))).toEqual({ kind: 'uniform', std: 1 / 4 });
    expect(defaultInit(param('norm.weight', [10]))).toEqual({ kind: 'constant', value: 1 });
    expect(defaultInit(param('norm.bias', [10]))).toEqual({ kind: 'constant', value: 0 });
    expect(defaultInit(param('bn.running_var', [10], { role: 'buffer' }))).toEqual({
      kind: 'constant',
      value: 1,
    });
    const drawn = param('i', [4], { dtype: 'int32', init: uniform });
    await expect(bytesOf(source, drawn)).rejects.toThrow(/cannot draw uniform int32/);
    expect(elementCount(drawn.shape)).toBe(4);
  });

  it('identifies the numbers: by seed, names, shapes, types and inits, not by order', async () => {
    const a = param('a', [2], { init: uniform });
    const b = param('b', [2], { init: uniform });
    const id = async (seed: number, params: Param[]) => (await seeded(seed).open(params)).id;
    const base = await id(0, [a, b]);
    expect(await id(0, [b, a])).toBe(base);
    for (const other of [
      await id(1, [a, b]),
      await id(0, [a]),
      await id(0, [a, { ...b, dtype: 'float16' }]),
      await id(0, [a, { ...b, init: { kind: 'uniform', std: 0.03 } }]),
    ]) {
      expect(other).not.toBe(base);
    }
    expect(() => seeded(0.5)).toThrow(/whole number/);
  });
});
