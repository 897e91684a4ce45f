import { float32 } from '../core/tensor.ts';
import type { GraphBuilder, Value } from '../graph/builder.ts';

/**
 * Averages a feature map [batch, channels, height, width] down (or up) to a fixed size, whatever size it has: cell i of n
 * is the mean over ⌊i·size/n⌋ up to but without ⌈(i+1)·size/n⌉ (torch's AdaptiveAvgPool2d, aten/native/AdaptivePooling.h).
 */
export function adaptiveAveragePool(
  g: GraphBuilder,
  x: Value,
  [rows, columns]: readonly [number, number],
): Value {
  const height = Number(x.shape[2]);
  const width = Number(x.shape[3]);
  if (height === rows && width === columns) return x;
  // Windows of one size that don't overlap are ordinary pooling; others are products with the matrix of their means.
  if (height % rows === 0 && width % columns === 0) {
    const kernel = [height / rows, width / columns];
    return g.averagePool(x, kernel, { strides: kernel });
  }
  const across = g.matmul(x, g.constant(float32([width, columns], means(width, columns, true)), 'pool'));
  return g.matmul(g.constant(float32([rows, height], means(height, rows, false)), 'pool'), across);
}

/** The weights of `size` elements in `cells` means: [size, cells] when transposed, else [cells, size]. */
function means(size: number, cells: number, transposed: boolean): Float32Array {
  const matrix = new Float32Array(size * cells);
  for (let cell = 0; cell < cells; cell++) {
    const from = Math.floor((cell * size) / cells);
    const to = Math.ceil(((cell + 1) * size) / cells);
    for (let i = from; i < to; i++) matrix[transposed ? i * cells + cell : cell * size + i] = 1 / (to - from);
  }
  return matrix;
}
