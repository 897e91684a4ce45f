import { describe, expect, it } from 'vitest';
import type { Param } from '../../src/core/graph.ts';
import type { WeightSource } from '../../src/core/model.ts';
import { Room, readParam } from '../../src/core/read-param.ts';
import { toBytes } from '../../src/core/tensor.ts';

const numbers = (count: number, from: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => from + i);

/** A source of `numbers(…, 1)` in pieces of `step` bytes, each put where `place` says: memory of its own or what it was lent. */
const source = (
  step: number,
  place: (piece: Uint8Array, into?: Uint8Array) => Uint8Array,
  count?: number,
): WeightSource => ({
  id: 'test',
  label: 'test',
  trained: false,
  async *read(param, into) {
    const bytes = toBytes(numbers(count ?? param.shape[0]!, 1));
    for (let at = 0; at < bytes.length; at += step) yield place(bytes.subarray(at, at + step), into);
  },
  close: async () => {},
});
const own = (piece: Uint8Array): Uint8Array => piece.slice();
const inLent = (piece: Uint8Array, into?: Uint8Array): Uint8Array => {
  if (!into) return own(piece);
  into.set(piece);
  return into.subarray(0, piece.length);
};
const param = (count: number): Param => ({ name: 'w', dtype: 'float32', shape: [count], role: 'weight' });

describe('a parameter that is read', () => {
  const sources = {
    'in pieces of its own': source(64, own),
    'at once, in what it was lent': source(2 ** 20, inLent),
    'piece by piece in what it was lent, over the piece before': source(64, inLent),
  };
  it.each(Object.entries(sources))('has its numbers where the source gives them %s', async (_how, from) => {
    for (const room of [undefined, new Room()]) {
      for (const count of [100, 16, 1, 0, 33]) {
        const { data, shape } = await readParam(from, param(count), room);
        expect(data).toEqual(numbers(count, 1));
        expect(shape).toEqual([count]);
      }
    }
  });

  it('lies where the last one lay, where memory is lent', async () => {
    const room = new Room();
    const first = await readParam(source(2 ** 20, inLent), param(100), room);
    const second = await readParam(source(64, own), param(50), room);
    expect(second.data.buffer).toBe(first.data.buffer);
    expect(second.data).toEqual(numbers(50, 1));
    const alone = await readParam(source(64, own), param(50));
    expect(alone.data.buffer).not.toBe(first.data.buffer);
  });

  it.each([
    ['too few', 99],
    ['too many', 101],
  ])('is refused where the source has %s numbers', async (_what, count) => {
    for (const place of [own, inLent]) {
      for (const room of [undefined, new Room()]) {
        const reading = readParam(source(2 ** 20, place, count), param(100), room);
        await expect(reading).rejects.toMatchObject({ kind: 'input', where: 'test' });
      }
    }
  });
});
