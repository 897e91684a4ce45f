import type { LoweringTable } from './lowering.ts';

/** Normalisations that are newer than opset 17. */
export const norms: LoweringTable = {
  // x ÷ √(mean(x²) + ε) · γ over the dimensions from `axis` on
  RMSNormalization: (s) => {
    const { g } = s;
    const [x, scale] = [s.in(0), s.in(1)];
    const rank = x.shape.length;
    const first = s.float('axis', -1);
    const axes = x.shape.map((_, i) => i).slice(first < 0 ? first + rank : first);
    const square = g.reduceMean(g.mul(x, x), axes);
    return [g.mul(g.div(x, g.sqrt(g.add(square, s.float('epsilon', 1e-5)))), scale)];
  },
};
