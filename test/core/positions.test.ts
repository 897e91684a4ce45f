import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Grid,
  gridPositions,
  patchPositions,
  promptPositions,
  runLength,
  runsOf,
} from '../../src/core/positions.ts';
import { int64, toNumbers } from '../../src/core/tensor.ts';

/** One axis' positions as text. */
const axis = (places: readonly (readonly number[])[], i: number) => places.map((p) => p[i]).join(' ');

describe('positions of text and images', () => {
  it('count on all axes for text', () => {
    expect(gridPositions([{ text: 3 }])).toEqual({ places: [0, 1, 2].map((i) => [i, i, i]), next: 3 });
    expect(gridPositions([])).toEqual({ places: [], next: 0 });
  });

  it('count an image by frame, row and column, and go on behind its longest edge', () => {
    const { places, next } = gridPositions([{ text: 2 }, { grid: [1, 2, 3] }, { text: 2 }]);
    expect(axis(places, 0)).toBe('0 1 2 2 2 2 2 2 5 6');
    expect(axis(places, 1)).toBe('0 1 2 2 2 3 3 3 5 6');
    expect(axis(places, 2)).toBe('0 1 2 3 4 2 3 4 5 6');
    expect(next).toBe(7);
  });

  it('begin a second image behind the first and the text between', () => {
    const { places, next } = gridPositions([{ grid: [1, 2, 1] }, { text: 1 }, { grid: [1, 1, 2] }]);
    expect(axis(places, 0)).toBe('0 0 2 3 3');
    expect(axis(places, 1)).toBe('0 1 2 3 3');
    expect(axis(places, 2)).toBe('0 0 2 3 4');
    expect(next).toBe(5);
    expect(gridPositions([{ grid: [1, 2, 2] }, { grid: [1, 1, 1] }]).places.at(-1)).toEqual([2, 2, 2]);
  });

  it('count frames on the first axis', () => {
    const { places, next } = gridPositions([{ text: 1 }, { grid: [3, 1, 2] }, { text: 1 }]);
    expect(axis(places, 0)).toBe('0 1 1 2 2 3 3 4');
    expect(axis(places, 2)).toBe('0 1 2 1 2 1 2 4');
    expect(next).toBe(5);
  });

  const runs = fc.array(
    fc.oneof(
      fc.record({ text: fc.integer({ min: 1, max: 5 }) }),
      fc.record({
        grid: fc
          .tuple(...[1, 2, 3].map(() => fc.integer({ min: 1, max: 4 })))
          .map((g) => g as unknown as Grid),
      }),
    ),
    { maxLength: 6 },
  );

  it('give every token a place, next is behind all of them, and never larger than the tokens', () => {
    fc.assert(
      fc.property(runs, (of) => {
        const { places, next } = gridPositions(of);
        const length = of.reduce((n, run) => n + runLength(run), 0);
        expect(places.length).toBe(length);
        expect(next).toBe(Math.max(-1, ...places.flat()) + 1);
        expect(next).toBeLessThanOrEqual(length);
        expect(new Set(places.map(String)).size).toBe(length);
      }),
    );
  });

  it('find the runs again in the ids', () => {
    fc.assert(
      fc.property(runs, (of) => {
        const ids = of.flatMap((run) => new Array<number>(runLength(run)).fill('grid' in run ? 9 : 1));
        const images = of.flatMap((run) => ('grid' in run ? [run.grid] : []));
        const found = runsOf(ids, 9, images);
        expect(found.used).toBe(images.length);
        expect(gridPositions(found.runs)).toEqual(gridPositions(of));
      }),
    );
  });
});

describe('positions of a batch of prompts', () => {
  const image: Grid = [1, 1, 2];

  it('hand out the images in order, one prompt after the other', () => {
    const ids = int64([2, 5], [1, 9, 9, 1, 1, 9, 9, 9, 9, 1]);
    const { positions, behind } = promptPositions(ids, undefined, 9, [image, [1, 2, 2]]);
    expect(positions.shape).toEqual([3, 2, 5]);
    expect([...toNumbers(positions)].join(' ')).toBe(
      '0 1 1 3 4 0 0 0 0 2 0 1 1 3 4 0 0 1 1 2 0 1 2 3 4 0 1 0 1 2',
    );
    expect(behind).toEqual([0, -2]);
  });

  it('leave out padding, whose positions are 1', () => {
    const ids = int64([1, 6], [0, 0, 7, 9, 9, 7]);
    const mask = int64([1, 6], [0, 0, 1, 1, 1, 1]);
    const { positions, behind } = promptPositions(ids, mask, 9, [image]);
    expect([...toNumbers(positions)].join(' ')).toBe('1 1 0 1 1 3 1 1 0 1 1 3 1 1 0 1 2 3');
    // The next token has place 6 in the cache and position 4.
    expect(behind).toEqual([-2]);
  });

  it('refuse image tokens that are not those of the images', () => {
    const positions = (ids: number[], images: Grid[]) => () =>
      promptPositions(int64([1, ids.length], ids), undefined, 9, images);
    expect(positions([1, 9, 9], [])).toThrow(/more than 0 images/);
    expect(positions([1, 9, 9, 9], [image])).toThrow(/more than 1 images/);
    expect(positions([9, 1, 9], [image])).toThrow(/grid of 1 × 1 × 2 tokens, the prompt 1/);
    expect(positions([1, 9], [image])).toThrow(/grid of/);
    expect(positions([1, 1], [image])).toThrow(/0 of 1 images/);
  });
});

it('patches come square by square in merge order', () => {
  const rows = (t: ReturnType<typeof patchPositions>) => [...toNumbers(t)].join('');
  expect(rows(patchPositions(2, 4, 2))).toBe('0001101102031213');
  expect(rows(patchPositions(2, 2, 1))).toBe('00011011');
});
