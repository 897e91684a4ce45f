import { float32, type Tensor } from '../core/tensor.ts';
import type { GraphBuilder, Value } from '../graph/builder.ts';
import { checkFactors, checkPositive, checkSizes } from './check.ts';
import { type RotaryTables, rotaryTables } from './rotary.ts';

/**
 * Rotary positions that reach further than those a model was trained with (Ding et al., "LongRoPE", 2024), as Phi-3 uses
 * them: every frequency is divided by a factor of its own, of which there is one list for short sequences and one for long.
 */
export interface LongRope {
  readonly theta: number;
  /** One factor per frequency, for sequences of up to `original` positions. */
  readonly short: readonly number[];
  /** The same for longer ones. */
  readonly long: readonly number[];
  /** Positions before the extension. */
  readonly original: number;
  /** Positions with it; their ratio decides how much cosine and sine are stretched, in both regimes. */
  readonly extended: number;
}

/** √(1 + ln(extended ÷ original) ÷ ln(original)): attention over more keys needs a sharper softmax. */
export function longRopeScale({ original, extended }: LongRope): number {
  return extended <= original ? 1 : Math.sqrt(1 + Math.log(extended / original) / Math.log(original));
}

/** 1 ÷ (factor × theta^(2i / D)) for i < D/2, rounded to float32 step by step as torch does. */
function frequencies(theta: number, factors: readonly number[], headWidth: number): Tensor {
  const frequency = (factor: number, i: number) =>
    1 / Math.fround(Math.fround(factor) * Math.fround(theta ** Math.fround((2 * i) / headWidth)));
  return float32([factors.length], factors.map(frequency));
}

/**
 * cos and sin, [batch, sequence, 1, D/2]. The graph itself decides which factors hold, for the whole batch: the long ones as
 * soon as the largest position of the call is `original` or more, as in transformers' modeling_phi3.py. (The code published
 * with Phi-3.5-vision counts the keys instead, which is the same where nothing is padded.) Keys in the cache stay as they were
 * turned, so whoever generates across that border and wants what a whole prompt would give starts again with an empty cache,
 * as transformers' generate() does.
 */
export function longRopeTables(
  g: GraphBuilder,
  positions: Value,
  rope: LongRope,
  headWidth: number,
): RotaryTables {
  const constant = (name: 'long' | 'short') =>
    g.constant(frequencies(rope.theta, rope[name], headWidth), `${name}_frequencies`);
  // In float32, where WebGPU has a maximum; positions are whole there up to 2^24.
  const last = g.reduceMax(g.cast(positions, 'float32'), undefined, false);
  const chosen = g.where(g.greater(last, rope.original - 1), constant('long'), constant('short'));
  const { cos, sin } = rotaryTables(g, positions, chosen);
  const scale = longRopeScale(rope);
  return { cos: g.mul(cos, scale), sin: g.mul(sin, scale) };
}

/** @throws VersusError `usage` when a size is impossible; names the field. */
export function checkLongRope(model: string, rope: LongRope, headWidth: number): void {
  const { theta, original, extended } = rope;
  checkPositive(model, { 'rotary.theta': theta });
  checkSizes(model, { 'rotary.original': original, 'rotary.extended': extended });
  // ln(1) is 0, and the scale divides by it.
  if (extended > original) checkSizes(model, { 'rotary.original - 1': original - 1 });
  checkFactors(model, 'rotary.short', rope.short, headWidth / 2);
  checkFactors(model, 'rotary.long', rope.long, headWidth / 2);
}
