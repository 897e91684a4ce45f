import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutOf } from '../../src/zoo/swin-shape.ts';
import {
  mergedTokens,
  relativePositions,
  shiftMask,
  tokenPlaces,
  type Windowing,
  windowTokens,
} from '../../src/zoo/windows.ts';

type Pair = readonly [number, number];
const pair = (min: number, max: number) =>
  fc.tuple(fc.integer({ min, max }), fc.integer({ min, max })) as fc.Arbitrary<Pair>;

const windowings = fc
  .record({ grid: pair(1, 12), window: pair(1, 5), shifts: fc.tuple(fc.boolean(), fc.boolean()) })
  .map(({ grid, window, shifts }): Windowing => {
    const shift = (axis: 0 | 1) =>
      shifts[axis] && grid[axis] > window[axis] ? Math.floor(window[axis] / 2) : 0;
    return { grid, window, shift: [shift(0), shift(1)] };
  });

/** The grid step by step, as the papers' code does it: padded, rolled up and left, cut into windows. */
function stepByStep(cells: number[][], { window, shift }: Windowing): number[] {
  const [height, width] = [cells.length, cells[0]!.length];
  const rolled = cells.map((row, r) =>
    row.map((_, c) => cells[(r + shift[0]) % height]![(c + shift[1]) % width]!),
  );
  const windows: number[] = [];
  for (let top = 0; top < height; top += window[0])
    for (let left = 0; left < width; left += window[1])
      for (const row of rolled.slice(top, top + window[0]))
        windows.push(...row.slice(left, left + window[1]));
  return windows;
}

function padded({ grid, window }: Windowing, cell: (row: number, column: number) => number): number[][] {
  const [height, width] = [0, 1].map((a) => Math.ceil(grid[a]! / window[a]!) * window[a]!) as [
    number,
    number,
  ];
  return Array.from({ length: height }, (_, r) => Array.from({ length: width }, (_, c) => cell(r, c)));
}

describe('windows over a grid', () => {
  it('hold the tokens that padding, rolling and cutting give, and the way back finds each', () => {
    fc.assert(
      fc.property(windowings, (w) => {
        const [height, width] = w.grid;
        const count = height * width;
        const numbers = padded(w, (r, c) => (r < height && c < width ? r * width + c : count));
        const tokens = windowTokens(w);
        expect(tokens).toEqual(stepByStep(numbers, w));
        const back = tokenPlaces(tokens, count).map((place) => tokens[place]);
        expect(back).toEqual(Array.from({ length: count }, (_, i) => i));
      }),
    );
  });

  it('hide from each other what rolling brought together from opposite edges, and nothing else', () => {
    fc.assert(
      fc.property(windowings, (w) => {
        const [height, width] = [0, 1].map((a) => Math.ceil(w.grid[a]! / w.window[a]!) * w.window[a]!);
        const area = w.window[0] * w.window[1];
        // Where a token stood before: neighbours in a window are neighbours of the grid unless an edge lies between.
        const rows = stepByStep(
          padded(w, (r) => r),
          w,
        );
        const columns = stepByStep(
          padded(w, (_, c) => c),
          w,
        );
        const mask = shiftMask(w);
        rows.forEach((row, place) => {
          const first = place - (place % area);
          for (let other = 0; other < area; other++) {
            const apart =
              Math.abs(row - rows[first + other]!) >= Math.min(w.window[0], height!) ||
              Math.abs(columns[place]! - columns[first + other]!) >= Math.min(w.window[1], width!);
            expect(mask[place * area + other]).toBe(apart ? -100 : 0);
          }
        });
      }),
    );
  });

  it('number distances as the table of biases does', () => {
    fc.assert(
      fc.property(pair(1, 5), ([height, width]) => {
        const index = relativePositions([height, width]);
        const area = height * width;
        for (let a = 0; a < area; a++) {
          for (let b = 0; b < area; b++) {
            const down = Math.floor(a / width) - Math.floor(b / width);
            const right = (a % width) - (b % width);
            const found = index[a * area + b]!;
            expect([Math.floor(found / (2 * width - 1)), found % (2 * width - 1)]).toEqual([
              down + height - 1,
              right + width - 1,
            ]);
          }
        }
      }),
    );
  });

  it('merge by column, then row, and complete an odd edge', () => {
    expect(mergedTokens([2, 4])).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
    expect(mergedTokens([3, 1])).toEqual([0, 1, 3, 3, 2, 3, 3, 3]);
  });
});

describe("a block's shift", () => {
  const cut = (grid: Pair, window: Pair, naming: 'transformers' | 'torchvision') =>
    cutOf(grid, { window, naming }, true);

  it.each([
    'transformers',
    'torchvision',
  ] as const)('is none where a window covers the grid (%s)', (naming) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), (side) => {
        const grid = [side, side] as const;
        const { tokens, mask } = cut(grid, grid, naming);
        expect(mask).toBeNull();
        expect(tokens).toEqual(cutOf(grid, { window: grid, naming }, false).tokens);
        expect(tokens).toEqual(tokens.map((_, i) => i));
      }),
    );
  });

  it('stays on the axis that is not covered in torchvision only', () => {
    expect(cut([4, 8], [4, 4], 'torchvision').shift).toEqual([0, 2]);
    expect(cut([4, 8], [4, 4], 'transformers').shift).toEqual([0, 0]);
    expect(cut([5, 8], [4, 4], 'transformers').shift).toEqual([2, 2]);
  });
});
