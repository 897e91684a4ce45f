import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ContentHash } from '../../src/weights/content-hash.ts';
import { layout } from '../../src/weights/header.ts';

describe('ContentHash', () => {
  const plan = layout([
    { name: 'a', dtype: 'float32', shape: [3, 5] },
    { name: 'b', dtype: 'uint8', shape: [7] },
    { name: 'none', dtype: 'float32', shape: [0, 4] },
  ]);
  const content: Readonly<Record<string, Uint8Array>> = {
    a: Uint8Array.from({ length: 60 }, (_, i) => i),
    b: Uint8Array.from({ length: 7 }, (_, i) => 200 + i),
  };
  const whole = (of = plan, held = content): string => {
    const hash = new ContentHash(of);
    for (const [name, bytes] of Object.entries(held)) hash.update(name, bytes);
    return hash.digest();
  };

  it('is of the numbers, not of the pieces that they come in or whose turn it is', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 1, max: 20 })));
    fc.assert(
      fc.property(steps, (order) => {
        const hash = new ContentHash(plan);
        const at: Record<string, number> = { a: 0, b: 0 };
        for (const [name, n] of [...order, ['a', 60], ['b', 7]] as [string, number][]) {
          const piece = content[name]!.subarray(at[name], at[name]! + n);
          if (piece.length > 0) hash.update(name, piece);
          at[name]! += piece.length;
        }
        expect(hash.digest()).toBe(whole());
      }),
    );
  });

  it('differs where a byte, a name, a type or a shape does', () => {
    const other = (a: Partial<(typeof plan.entries)[0]>): string => {
      const entries = plan.entries.map((entry) => (entry.name === 'a' ? { ...entry, ...a } : entry));
      return whole({ ...plan, entries }, { [a.name ?? 'a']: content.a!, b: content.b! });
    };
    const hashes = [
      whole(),
      other({ name: 'c' }),
      other({ dtype: 'int32' }),
      other({ shape: [5, 3] }),
      whole(plan, { ...content, a: content.a!.with(59, 0) }),
      whole(plan, { ...content, b: content.b!.with(0, 0) }),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(other({ begin: 64, end: 124 })).toBe(whole());
    expect(() => whole(plan, { a: content.a! })).toThrow(/b was not hashed to its end/);
  });
});
