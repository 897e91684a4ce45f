import { describe, expect, it } from 'vitest';
import { fromBytes, fromFloat16, toBytes, toFloat16 } from '../../src/core/tensor.ts';
import { convert, convertible, repeated } from '../../src/weights/convert.ts';

const floats = (bytes: Uint8Array) => [...(fromBytes('float32', bytes) as Float32Array)];
const bits16 = (bytes: Uint8Array) => [...(fromBytes('float16', bytes) as Uint16Array)];

describe('convert', () => {
  it('widens every half exactly and rounds back to it', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const wide = convert('float16', 'float32', toBytes(all));
    expect(floats(wide)).toEqual(Array.from(all, fromFloat16));
    const back = bits16(convert('float32', 'float16', wide));
    // Any NaN may come back as another NaN.
    const wrong = back.filter((b, i) => b !== i && !((i & 0x7c00) === 0x7c00 && (i & 0x3ff) !== 0));
    expect(wrong).toEqual([]);
  });

  it('widens every bfloat16 to the bits that it is the upper half of', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const wide = convert('bfloat16', 'float32', toBytes(all));
    expect(Buffer.compare(wide, toBytes(Int32Array.from(all, (i) => i << 16)))).toBe(0);
  });

  it('rounds as the exact, slow conversion does', () => {
    const values = [
      0,
      -0,
      1,
      -2.5,
      65504,
      65519.99,
      65520,
      1e9,
      6.103515625e-5,
      6.1e-5,
      5.9e-8,
      2.9e-8,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      Number.NaN,
      Number.POSITIVE_INFINITY,
    ];
    const source = Float32Array.from(values);
    expect(bits16(convert('float32', 'float16', toBytes(source)))).toEqual([...source].map(toFloat16));
  });

  it('knows bfloat16: the upper half of a float32, to nearest even', () => {
    // 1 + 2^-8 lies between 1 (even) and 1 + 2^-7; 1 + 3·2^-8 between 1 + 2^-7 and 1 + 2^-6 (even).
    const source = Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -3.5, Number.NaN);
    const brain = convert('float32', 'bfloat16', toBytes(source));
    expect(bits16(brain).slice(0, 4)).toEqual([0x3f80, 0x3f80, 0x3f82, 0xc060]);
    expect(floats(convert('bfloat16', 'float32', brain))).toEqual([1, 1, 1 + 2 ** -6, -3.5, Number.NaN]);
    const half = convert('bfloat16', 'float16', brain);
    expect(bits16(half).slice(0, 4)).toEqual([1, 1, 1 + 2 ** -6, -3.5].map(toFloat16));
    expect(floats(convert('float64', 'float32', toBytes(Float64Array.of(0.1))))).toEqual([Math.fround(0.1)]);
  });

  it.each([8191, 8192, 8193, 20_000])('converts %i elements as it converts each by itself', (n) => {
    const types = ['float32', 'float16', 'bfloat16', 'float64'] as const;
    const numbers = Float32Array.from({ length: n }, (_, i) => ((i * 37) % 4099) / 1024 - 2);
    for (const from of types) {
      const source = convert('float32', from, toBytes(numbers));
      const size = source.length / n;
      for (const to of types) {
        const all = convert(from, to, source, new Uint8Array(8 * (n + 1)));
        for (const i of [0, 1, 4095, 8190, 8191, 8192, n - 1].filter((at) => at < n)) {
          const one = convert(from, to, source.slice(i * size, (i + 1) * size));
          expect([...all.subarray(i * one.length, (i + 1) * one.length)]).toEqual([...one]);
        }
        expect(all.length).toBe(n * convert(from, to, source.slice(0, size)).length);
      }
    }
  });

  it('writes into a buffer that is longer, and passes equal types through', () => {
    const buffer = new Uint8Array(64);
    const out = convert('float16', 'float32', toBytes(Uint16Array.of(0x3c00)), buffer);
    expect(out.buffer).toBe(buffer.buffer);
    expect(floats(out)).toEqual([1]);
    const same = toBytes(Float32Array.of(1));
    expect(convert('float32', 'float32', same)).toBe(same);
    expect([
      convertible('bfloat16', 'float16'),
      convertible('int64', 'int64'),
      convertible('int64', 'float32'),
    ]).toEqual([true, true, false]);
  });

  it('repeats one number', () => {
    expect(floats(repeated('float32', 1.5, 5))).toEqual([1.5, 1.5, 1.5, 1.5, 1.5]);
    expect([...repeated('bool', 1, 3)]).toEqual([1, 1, 1]);
    expect(repeated('int64', 0, 2)).toEqual(new Uint8Array(16));
    expect(repeated('float32', 1, 0)).toEqual(new Uint8Array(0));
    expect(Object.is(floats(repeated('float32', -0, 1))[0], -0)).toBe(true);
  });
});
