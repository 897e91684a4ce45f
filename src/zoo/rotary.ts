import type { Dim } from '../core/graph.ts';
import { float32, type Tensor } from '../core/tensor.ts';
import type { GraphBuilder, Value } from '../graph/builder.ts';

/**
 * Rotary position embedding: the pair (x[i], x[i + D/2]) is a point that turns by position × frequency[i], so that the
 * product of a query and a key depends on their distance alone. Source: Su et al., "RoFormer" (2021), in the half-split
 * pairing of Llama's checkpoints.
 */
export interface Rotary {
  readonly theta: number;
  /** Positions are divided by this (Chen et al., "Position interpolation", 2023); 1 leaves them. */
  readonly factor: number;
  /** Several position axes (M-RoPE): how many of the D/2 pairs turn by each of them, in order; one axis when left out. */
  readonly sections?: readonly number[];
}

/** theta^(−2i / D) ÷ factor for i < D/2. */
export function rotaryFrequencies({ theta, factor }: Rotary, headWidth: number): Tensor {
  const half = headWidth / 2;
  const frequency = (i: number) => Math.fround(1 / Math.fround(theta ** ((2 * i) / headWidth))) / factor;
  return float32(
    [half],
    Array.from({ length: half }, (_, i) => frequency(i)),
  );
}

/** Cosine and sine of the angle of every pair. */
export interface RotaryTables {
  readonly cos: Value;
  readonly sin: Value;
}

/** cos and sin of position × frequency, [batch, sequence, 1, D/2]. */
export function rotaryTables(g: GraphBuilder, positions: Value, frequencies: Value): RotaryTables {
  const place = g.unsqueeze(g.cast(positions, 'float32'), [2, 3]);
  return tables(g, g.mul(place, frequencies));
}

/**
 * The same for positions on several axes, [axes, batch, sequence]: the first `sections[0]` pairs turn by the first axis,
 * the next `sections[1]` by the second, and so on; together they are D/2. With equal positions on all axes this is
 * `rotaryTables`. Source: M-RoPE of Wang et al., "Qwen2-VL" (2024).
 */
export function sectionedRotaryTables(
  g: GraphBuilder,
  positions: Value,
  frequencies: Tensor,
  sections: readonly number[],
): RotaryTables {
  const place = g.unsqueeze(g.cast(positions, 'float32'), [3, 4]);
  const axes = g.split(
    place,
    sections.map(() => 1),
    0,
  );
  const values = frequencies.data as Float32Array;
  let from = 0;
  const angles = sections.map((length, axis) => {
    const own = float32([length], values.slice(from, from + length));
    from += length;
    return g.mul(g.squeeze(axes[axis]!, [0]), g.constant(own, 'frequencies'));
  });
  return tables(g, g.concat(angles, 3));
}

/**
 * Tables of the cells of a grid, [1, cells, 1, D/2], from their rows and columns [cells, 2]: the first half of the pairs
 * turns by the row, the second by the column, both with the frequencies of a head of D/2. Source: transformers'
 * `modeling_qwen2_vl.py`, `rot_pos_emb`.
 */
export function gridRotaryTables(g: GraphBuilder, cells: Value, frequencies: Tensor): RotaryTables {
  const [count] = cells.shape as [Dim];
  const place = g.unsqueeze(g.cast(cells, 'float32'), [2]);
  const angle = g.mul(place, g.constant(frequencies, 'frequencies'));
  return tables(g, g.reshape(angle, [1, count, 1, 2 * frequencies.shape[0]!]));
}

function tables(g: GraphBuilder, angle: Value): RotaryTables {
  return { cos: g.cos(angle), sin: g.sin(angle) };
}

/** x [batch, sequence, heads, D] turned by its positions. */
export function rotate(g: GraphBuilder, x: Value, { cos, sin }: RotaryTables): Value {
  const half = Number(x.shape[3]) / 2;
  const [a, b] = g.split(x, [half, half], 3) as [Value, Value];
  return g.concat([g.sub(g.mul(a, cos), g.mul(b, sin)), g.add(g.mul(b, cos), g.mul(a, sin))], 3);
}
