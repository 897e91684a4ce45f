import { VersusError } from './errors.ts';
import { int64, type Tensor, toNumbers } from './tensor.ts';

/** A piece of a prompt: so many tokens of text, or an image as a grid of tokens. */
export type Run = { readonly text: number } | { readonly grid: Grid };

/** Frames, rows and columns of an image in tokens, that is after patches were merged. */
export type Grid = readonly [frames: number, rows: number, columns: number];

export interface Positions {
  /** Per token of the prompt its place on each axis: frame, row, column. */
  readonly places: readonly (readonly [number, number, number])[];
  /** Where the token behind the prompt goes, on all axes. */
  readonly next: number;
}

/**
 * Positions on three axes (M-RoPE): text counts on all axes alike; an image begins behind the text before it, and its
 * tokens count from there by frame, row and column; text goes on behind the largest position so far. So a large image takes
 * far fewer positions than tokens. Source: Wang et al., "Qwen2-VL" (2024); `get_rope_index` of transformers.
 */
export function gridPositions(runs: readonly Run[]): Positions {
  const places: [number, number, number][] = [];
  let next = 0;
  for (const run of runs) {
    if ('text' in run) {
      for (let i = 0; i < run.text; i++) places.push([next + i, next + i, next + i]);
      next += run.text;
      continue;
    }
    const [frames, rows, columns] = run.grid;
    for (let f = 0; f < frames; f++) {
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) places.push([next + f, next + r, next + c]);
      }
    }
    next += Math.max(frames, rows, columns);
  }
  return { places, next };
}

/** Tokens of a run. */
export function runLength(run: Run): number {
  return 'text' in run ? run.text : run.grid[0] * run.grid[1] * run.grid[2];
}

/**
 * The same for a batch of prompts with their images, as transformers gives it to the decoder.
 * @param ids int64 [batch, sequence]
 * @param mask [batch, sequence]; where it is 0 lies padding, which takes no place (its positions are 1)
 * @param images of all prompts, in order
 * @returns positions int64 [3, batch, sequence]; per prompt `behind`, which a later token's place in the cache must be
 * moved by to be its position (`rope_deltas`)
 * @throws VersusError `input` when the image tokens are not those of the images
 */
export function promptPositions(
  ids: Tensor,
  mask: Tensor | undefined,
  imageToken: number,
  images: readonly Grid[],
): { readonly positions: Tensor; readonly behind: readonly number[] } {
  const [batch = 0, length = 0] = ids.shape;
  const all = toNumbers(ids);
  const seen = mask && toNumbers(mask);
  const positions = new Array<number>(3 * batch * length).fill(1);
  const behind: number[] = [];
  let used = 0;
  for (let b = 0; b < batch; b++) {
    const kept = Array.from({ length }, (_, i) => i).filter((i) => seen?.[b * length + i] !== 0);
    const row = kept.map((i) => all[b * length + i]!);
    const prompt = runsOf(row, imageToken, images.slice(used));
    used += prompt.used;
    const { places, next } = gridPositions(prompt.runs);
    kept.forEach((at, i) => {
      for (let axis = 0; axis < 3; axis++) {
        positions[(axis * batch + b) * length + at] = places[i]![axis]!;
      }
    });
    behind.push(next - length);
  }
  if (used < images.length) {
    throw new VersusError('input', `the prompts show ${used} of ${images.length} images`);
  }
  return { positions: int64([3, batch, length], positions), behind };
}

/**
 * Row and column of every patch of a grid, int64 [rows · columns, 2], in merge order: square by square of `merge` ×
 * `merge` patches, row by row within each.
 */
export function patchPositions(rows: number, columns: number, merge: number): Tensor {
  const cells: number[] = [];
  for (let top = 0; top < rows; top += merge) {
    for (let left = 0; left < columns; left += merge) {
      for (let r = 0; r < merge; r++) for (let c = 0; c < merge; c++) cells.push(top + r, left + c);
    }
  }
  return int64([rows * columns, 2], cells);
}

/**
 * A prompt's ids as runs: where the image token stands, the next of the images begins and fills its whole grid.
 * @returns the runs, and how many of the images they used
 * @throws VersusError `input` when the image tokens don't come in the grids' numbers
 */
export function runsOf(
  ids: readonly number[],
  imageToken: number,
  images: readonly Grid[],
): { readonly runs: readonly Run[]; readonly used: number } {
  const runs: Run[] = [];
  let used = 0;
  let text = 0;
  for (let at = 0; at < ids.length; ) {
    if (ids[at] !== imageToken) {
      text++;
      at++;
      continue;
    }
    const grid = images[used];
    if (!grid) throw new VersusError('input', `the prompt shows more than ${images.length} images`);
    const length = runLength({ grid });
    const shown = ids.slice(at, at + length).filter((id) => id === imageToken).length;
    if (shown < length) {
      throw new VersusError(
        'input',
        `image ${used} has a grid of ${grid.join(' × ')} tokens, the prompt ${shown} image tokens for it`,
      );
    }
    if (text > 0) runs.push({ text });
    text = 0;
    runs.push({ grid });
    used++;
    at += length;
  }
  if (text > 0) runs.push({ text });
  return { runs, used };
}
