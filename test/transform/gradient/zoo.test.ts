import { describe, expect, it } from 'vitest';
import { byDomain } from '../../../src/graph/ops/index.ts';
import { MICROSOFT_RULES, RULES, VERSUS_RULES } from '../../../src/transform/gradient/rules/index.ts';
import { models } from '../../../src/zoo/index.ts';

/** Results that are whole numbers or bools, or that follow from whole numbers: no gradient passes, so none needs a rule. */
const WHOLE = ['ArgMax', 'Equal', 'Greater', 'Or', 'Range', 'Shape'];

describe('the zoo', () => {
  it('has no operator without a rule but those that no gradient passes', async () => {
    const lacking = new Set<string>();
    for (const model of models()) {
      for (const graph of Object.values(await model.build(model.config))) {
        for (const node of graph.nodes) {
          const table = byDomain(node, RULES, MICROSOFT_RULES, VERSUS_RULES);
          if (!table || !Object.hasOwn(table, node.op)) lacking.add(node.op);
        }
      }
    }
    expect([...lacking].sort()).toEqual(WHOLE);
  }, 180_000);
});
