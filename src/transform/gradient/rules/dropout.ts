import { asNumber, type RuleTable, unary } from '../rule.ts';

/**
 * In training what was kept was scaled by 1 ÷ (1 − ratio), and so is its gradient; the mask that forward drew says which. At
 * inference nothing happened.
 */
export const dropouts: RuleTable = {
  Dropout: unary((b) => {
    const { g, dy } = b;
    const training = b.has(2) ? b.numbers(2)?.[0] : 0;
    const ratio = b.has(1) ? g.known(b.in(1))?.[0] : 0.5;
    if (training === 0 || ratio === 0) return dy;
    const kept = asNumber(b, b.kept(1), dy);
    if (ratio !== undefined) return g.mul(dy, g.mul(kept, 1 / (1 - ratio)));
    const fed = b.in(1);
    const left = g.sub(1, fed.dtype === dy.dtype ? fed : g.cast(fed, dy.dtype));
    return g.mul(dy, g.div(kept, left));
  }),
};
