import type { Value } from '../../../graph/builder.ts';
import type { Backward, RuleTable } from '../rule.ts';

/**
 * A number that is 0 in every run, but only known in it: what follows from constants alone onnxruntime computes when it loads a
 * graph and keeps, and the weight would be there in eight times its blocks' size.
 */
function fedZero(b: Backward): Value {
  const { g, dy } = b;
  const rank = dy.shape.length;
  const axes = Array.from({ length: rank }, (_, i) => i);
  const first = g.reshape(
    g.slice(
      dy,
      axes.map(() => 0),
      axes.map(() => 1),
      axes,
    ),
    [1],
  );
  const any = g.greater(first, 0);
  return g.cast(g.and(any, g.not(any)), 'uint8');
}

/** Numbers of a few bits that share bytes, the first in the lowest bits, as bytes of their own: [n] → [n · 8 ÷ bits]. */
function unpacked(b: Backward, bytes: Value, bits: number, zero: Value): Value {
  const { g } = b;
  if (bits === 8) return bytes;
  const perByte = 8 / bits;
  const shift = (x: Value, by: number, direction: 'LEFT' | 'RIGHT'): Value => {
    if (by === 0) return x;
    const amount = g.add(zero, g.scalar(by, 'uint8'));
    return g.op('BitShift', [x, amount], { direction })[0]!;
  };
  // What lies above is shifted out at the top, what lies below at the bottom.
  const parts = Array.from({ length: perByte }, (_, i) =>
    shift(shift(bytes, 8 - bits * (i + 1), 'LEFT'), 8 - bits, 'RIGHT'),
  );
  const rows = parts.map((part) => g.unsqueeze(part, [0]));
  const n = b.sizes(bytes)[0]!;
  return g.reshape(g.transpose(g.concat(rows, 0), [1, 0]), [n * perByte]);
}

/** The weight [N, K] of a product in blocks, as numbers: (q − zero point) · scale, a scale and a zero point for each block. */
function weightOf(b: Backward): Value {
  const { g } = b;
  const [k, n] = [b.int('K', 0), b.int('N', 0)];
  const [bits, size] = [b.int('bits', 4), b.int('block_size', 0)];
  if (b.has(4)) b.fail('it has a group index');
  const blocks = Math.ceil(k / size);
  const zero = fedZero(b);
  const flat = (x: Value): Value => g.reshape(x, [b.sizes(x).reduce((count, d) => count * d, 1)]);
  const levels = g.reshape(unpacked(b, flat(b.in(1)), bits, zero), [n * blocks, size]);
  const scales = flat(b.in(2));
  const points = (): Value => {
    if (!b.has(3)) return g.expand(g.scalar(2 ** (bits - 1), 'uint8'), g.ints([n * blocks]));
    const rowBytes = Math.ceil((blocks * bits) / 8);
    const perRow = (rowBytes * 8) / bits;
    const all = g.reshape(unpacked(b, flat(b.in(3)), bits, zero), [n, perRow]);
    return flat(perRow === blocks ? all : g.slice(all, [0], [blocks], [1]));
  };
  const floats = b.has(3) && b.in(3).dtype !== 'uint8';
  const scaled = g.op('DequantizeLinear', floats ? [levels, scales] : [levels, scales, points()], {
    axis: 0,
  })[0]!;
  const shift = (): Value => g.reshape(g.mul(flat(b.in(3)), scales), [n * blocks, 1]);
  const weight = g.reshape(floats ? g.sub(scaled, shift()) : scaled, [n, blocks * size]);
  return k === blocks * size ? weight : g.slice(weight, [0], [k], [1]);
}

/**
 * onnxruntime's product with a weight in blocks of few bits, A Wᵀ: dA = dY W, for which the weight becomes float32 and goes again.
 * The blocks themselves have no gradient: they are what stays frozen beneath a LoRA.
 */
export const blocked: RuleTable = {
  MatMulNBits: (b) => {
    for (const i of [2, 3])
      if (b.wanted(i)) b.fail(`input ${i} of a weight in blocks is to train`, 'freeze it');
    const { g, dy } = b;
    const bias = (): Value => {
      const lead = dy.shape.slice(0, -1).map((_, i) => i);
      return lead.length === 0 ? dy : g.reduceSum(dy, lead, false);
    };
    const dx = b.wanted(0) ? g.matmul(dy, weightOf(b)) : null;
    return b.only(dx, null, null, null, null, b.wanted(5) ? bias() : null);
  },
};
