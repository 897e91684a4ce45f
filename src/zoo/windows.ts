/*
 * Windows over a grid of tokens, as Swin's attention sees them: which token stands where, and who sees whom. All of it is
 * known when the graph is built. Tokens are counted row by row; a number beyond the last stands for padding.
 */

type Pair = readonly [height: number, width: number];

export interface Windowing {
  readonly grid: Pair;
  readonly window: Pair;
  /** How far the grid is rolled up and left before it is cut into windows. */
  readonly shift: Pair;
}

/** Height and width after padding at the bottom and the right, up to whole windows. */
export function paddedGrid({ grid, window }: Omit<Windowing, 'shift'>): Pair {
  return [Math.ceil(grid[0] / window[0]) * window[0], Math.ceil(grid[1] / window[1]) * window[1]];
}

/** The token in each place of each window, window by window; `height · width` of the grid where there is only padding. */
export function windowTokens({ grid, window, shift }: Windowing): number[] {
  const [height, width] = grid;
  const [padHeight, padWidth] = paddedGrid({ grid, window });
  return rolledPlaces({ grid, window, shift }).map(([rolledRow, rolledColumn]) => {
    const row = (rolledRow + shift[0]) % padHeight;
    const column = (rolledColumn + shift[1]) % padWidth;
    return row < height && column < width ? row * width + column : height * width;
  });
}

/** The way back: the place, over all windows, of each token. */
export function tokenPlaces(tokens: readonly number[], count: number): number[] {
  const places = new Array<number>(count);
  tokens.forEach((token, place) => {
    if (token < count) places[token] = place;
  });
  return places;
}

/**
 * What a shift needs, [windows, tokens, tokens]: rolling brings tokens of opposite edges into one window, and these must not
 * see each other. 0 where both belong together, −100 (added before the softmax) where not.
 */
export function shiftMask(windowing: Windowing): Float32Array {
  const [padHeight, padWidth] = paddedGrid(windowing);
  const { window, shift } = windowing;
  const area = window[0] * window[1];
  // The last window of an axis is cut where the grid was rolled around; what lies before it is of one piece.
  const piece = (at: number, size: number, side: number, by: number) =>
    by === 0 || at < size - side ? 0 : at < size - by ? 1 : 2;
  const pieces = rolledPlaces(windowing).map(
    ([row, column]) =>
      3 * piece(row, padHeight, window[0], shift[0]) + piece(column, padWidth, window[1], shift[1]),
  );
  const mask = new Float32Array(pieces.length * area);
  pieces.forEach((own, place) => {
    const first = place - (place % area);
    for (let other = 0; other < area; other++) {
      if (pieces[first + other] !== own) mask[place * area + other] = -100;
    }
  });
  return mask;
}

/**
 * For each pair of places in a window, [tokens, tokens], the row of the bias table that belongs to their distance; the table
 * has (2·height − 1)(2·width − 1) rows, from the most negative distance on.
 */
export function relativePositions([height, width]: Pair): number[] {
  const places = Array.from(
    { length: height * width },
    (_, i) => [Math.floor(i / width), i % width] as const,
  );
  return places.flatMap(([row, column]) =>
    places.map(([r, c]) => (row - r + height - 1) * (2 * width - 1) + (column - c + width - 1)),
  );
}

/** The 2×2 squares that merge into one token each: four tokens by column, then row; an odd edge is completed by padding. */
export function mergedTokens([height, width]: Pair): number[] {
  const tokens: number[] = [];
  for (let row = 0; row < height; row += 2) {
    for (let column = 0; column < width; column += 2) {
      for (const [down, right] of [
        [0, 0],
        [1, 0],
        [0, 1],
        [1, 1],
      ] as const) {
        const inside = row + down < height && column + right < width;
        tokens.push(inside ? (row + down) * width + column + right : height * width);
      }
    }
  }
  return tokens;
}

/** Row and column, in the padded and rolled grid, of each place of each window. */
function rolledPlaces(windowing: Windowing): Pair[] {
  const [padHeight, padWidth] = paddedGrid(windowing);
  const [height, width] = windowing.window;
  const places: Pair[] = [];
  for (let top = 0; top < padHeight; top += height) {
    for (let left = 0; left < padWidth; left += width) {
      for (let i = 0; i < height * width; i++) {
        places.push([top + Math.floor(i / width), left + (i % width)]);
      }
    }
  }
  return places;
}
