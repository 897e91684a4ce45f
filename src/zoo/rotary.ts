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

export interface RotaryTables {
  readonly cos: Value;
  readonly sin: Value;
}

/** cos and sin of position × frequency, [batch, sequence, 1, D/2]. */
export function rotaryTables(g: GraphBuilder, positions: Value, frequencies: Value): RotaryTables {
  const place = g.unsqueeze(g.cast(positions, 'float32'), [2, 3]);
  const angle = g.mul(place, frequencies);
  return { cos: g.cos(angle), sin: g.sin(angle) };
}

/** x [batch, sequence, heads, D] turned by its positions. */
export function rotate(g: GraphBuilder, x: Value, { cos, sin }: RotaryTables): Value {
  const half = Number(x.shape[3]) / 2;
  const [a, b] = g.split(x, [half, half], 3) as [Value, Value];
  return g.concat([g.sub(g.mul(a, cos), g.mul(b, sin)), g.add(g.mul(b, cos), g.mul(a, sin))], 3);
}
