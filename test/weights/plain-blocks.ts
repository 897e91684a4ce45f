/** Blocks of 32 of a matrix, as plainly as it can be said: the oracle of what streams to disk. */
export interface PlainBlocks {
  readonly values: Uint8Array;
  readonly scales: Float32Array;
  /** The matrix that the blocks stand for, [n, k] in row-major order. */
  readonly restored: Float32Array;
}

/** @param at the weight that output `row` has for input `i` */
export function plainBlocks(
  n: number,
  k: number,
  bits: 4 | 8,
  at: (row: number, i: number) => number,
): PlainBlocks {
  const [blocks, half] = [Math.ceil(k / 32), 2 ** (bits - 1)];
  const levels: number[] = [];
  const scales = new Float32Array(n * blocks);
  const restored = new Float32Array(n * k);
  for (let row = 0; row < n; row++) {
    for (let b = 0; b < blocks; b++) {
      const block = Array.from({ length: 32 }, (_, j) => (b * 32 + j < k ? at(row, b * 32 + j) : 0));
      const [low, high] = [Math.min(...block), Math.max(...block)];
      const first = block.find((w) => Math.abs(w) === Math.max(-low, high))!;
      const scale = Math.fround(first / -half) + 0;
      scales[row * blocks + b] = scale;
      block.forEach((w, j) => {
        const level = scale === 0 ? half : Math.floor(w / scale + half + 0.5);
        const clamped = Math.min(Math.max(level, 0), 2 * half - 1);
        levels.push(clamped);
        if (b * 32 + j < k) restored[row * k + b * 32 + j] = (clamped - half) * scale;
      });
    }
  }
  const values =
    bits === 8
      ? Uint8Array.from(levels)
      : Uint8Array.from({ length: levels.length / 2 }, (_, i) => levels[2 * i]! + 16 * levels[2 * i + 1]!);
  return { values, scales, restored };
}
