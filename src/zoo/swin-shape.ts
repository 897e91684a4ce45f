import { checkDepths, checkDivides, checkPositive, checkRemains, checkSizes, refuse } from './check.ts';
import type { SwinConfig } from './swin.ts';
import { paddedGrid, shiftMask, type Windowing, windowTokens } from './windows.ts';

/*
 * Where images are no whole patches and grids no whole windows, torchvision (swin_transformer.py) and transformers
 * (modeling_swin.py) differ. Both fill windows up with zeros behind the norm; the rest is here.
 */

type Pair = readonly [height: number, width: number];
type Naming = Pick<SwinConfig, 'naming'>;

/** Patches of an image: rounded down by torchvision, which drops the rest, and up by transformers, which pads it. */
export function gridOf({ image, patch, naming }: Naming & Pick<SwinConfig, 'image' | 'patch'>): Pair {
  const round = naming === 'transformers' ? Math.ceil : Math.floor;
  return [round(image[0] / patch[0]), round(image[1] / patch[1])];
}

/**
 * By how much the second, fourth … block of a stage shifts: half a window, but not where one window covers the grid, on that
 * axis (torchvision) or, as soon as one axis is covered, on both (transformers).
 */
export function shiftOf(grid: Pair, { window, naming }: Naming & Pick<SwinConfig, 'window'>): Pair {
  const covered = [grid[0] <= window[0], grid[1] <= window[1]] as const;
  const [vertical, horizontal] =
    naming === 'transformers' ? [covered.includes(true), covered.includes(true)] : covered;
  return [vertical ? 0 : Math.floor(window[0] / 2), horizontal ? 0 : Math.floor(window[1] / 2)];
}

/** How the blocks of a stage that shift, or those that don't, cut its grid. */
export interface Cut extends Windowing {
  /** Which token stands where, see `windowTokens`. */
  readonly tokens: readonly number[];
  /** [windows, tokens, tokens]; null where nothing is shifted. */
  readonly mask: Float32Array | null;
}

export function cutOf(grid: Pair, config: Pick<SwinConfig, 'naming' | 'window'>, shifts: boolean): Cut {
  const shift = shifts ? shiftOf(grid, config) : ([0, 0] as const);
  const cut = { grid, window: config.window, shift };
  return { ...cut, tokens: windowTokens(cut), mask: shift[0] + shift[1] > 0 ? shiftMask(cut) : null };
}

/** Largest edge of a window: attention within it grows with the fourth power. */
const LARGEST_WINDOW = 64;
/** Largest grid, and largest number of pairs that see each other in one head, which is also the size of a mask. */
const MOST_TOKENS = 1 << 20;
const MOST_PAIRS = 1 << 25;

/** @throws VersusError `usage` naming the field that is impossible */
export function checkSwin(config: SwinConfig): void {
  const { image, patch, channels, width, depths, heads, window, classes, eps, mlpRatio, naming } = config;
  const counts: Record<string, number> = { 'depths.length': depths.length };
  const sizes: Record<string, number> = { channels, width, classes };
  depths.forEach((depth, i) => {
    counts[`depths[${i}]`] = depth;
    sizes[`heads[${i}]`] = heads[i] ?? Number.NaN;
    sizes[`width · 2^${i}`] = width * 2 ** i;
  });
  checkDepths('swin', counts);
  checkSizes('swin', sizes);
  for (const axis of [0, 1] as const) {
    checkSizes('swin', { [`image[${axis}]`]: image[axis], [`patch[${axis}]`]: patch[axis] });
    checkSizes('swin', { [`window[${axis}]`]: window[axis] }, LARGEST_WINDOW);
  }
  checkPositive('swin', { eps, mlpRatio });
  checkSizes('swin', { 'floor(width · mlpRatio)': Math.floor(width * mlpRatio) });
  depths.forEach((_, i) => {
    checkDivides('swin', [`heads[${i}]`, heads[i]!], [`width · 2^${i}`, width * 2 ** i]);
  });
  if (naming === 'transformers' && window[0] !== window[1]) {
    refuse('swin', 'window', `(${window.join(' × ')}) must be square where naming is 'transformers'`);
  }
  checkGrids(config);
}

function checkGrids(config: SwinConfig): void {
  const { image, window, depths, naming } = config;
  let grid = gridOf(config);
  image.forEach((side, axis) => {
    checkRemains('swin', `image[${axis}]`, side, grid[axis]!);
  });
  const [height, width] = paddedGrid({ grid, window });
  checkSizes('swin', { 'tokens of the image': height * width }, MOST_TOKENS);
  checkSizes(
    'swin',
    { 'tokens of the image · tokens of a window': height * width * window[0] * window[1] },
    MOST_PAIRS,
  );
  depths.forEach((_, i) => {
    // transformers shrinks the window there, but not its table of positions, and fails.
    if (naming === 'transformers' && Math.min(...grid) < window[0]) {
      refuse(
        'swin',
        'window',
        `(${window[0]}) is larger than the grid of stage ${i} (${grid.join(' × ')}), which transformers cannot compute`,
      );
    }
    grid = [Math.ceil(grid[0] / 2), Math.ceil(grid[1] / 2)];
  });
}

/** The stages, from 0, whose grid is no whole number of windows, so that they compute with padding too. */
export function paddedStages(config: SwinConfig): number[] {
  let grid = gridOf(config);
  return config.depths.flatMap((_, stage) => {
    const [height, width] = paddedGrid({ grid, window: config.window });
    const padded = height !== grid[0] || width !== grid[1];
    grid = [Math.ceil(grid[0] / 2), Math.ceil(grid[1] / 2)];
    return padded ? [stage] : [];
  });
}
