import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { Attribute } from '../../src/core/graph.ts';
import type { OperatorCase } from './operator-cases.ts';
import { runInterpreter } from './operator-run.ts';
import { LINEAR } from './operators-linear.ts';
import { MOVEMENT } from './operators-movement.ts';
import { REDUCE } from './operators-reduce.ts';

/** What a hostile or broken file may put where a number or a list is expected. */
const absurd: fc.Arbitrary<Attribute> = fc.constantFrom<Attribute>(
  -1,
  0,
  7,
  0.5,
  Number.NaN,
  1e12,
  -1e12,
  '',
  'nonsense',
  [],
  [0, 0],
  [-3, 9, 1e9, 1e12],
  ['a'],
  { kind: 'tensor', dtype: 'float32', shape: [0], data: new Float32Array(0) },
);

const attacked: fc.Arbitrary<OperatorCase> = fc
  .tuple(
    fc.oneof(...Object.values({ ...LINEAR, ...MOVEMENT, ...REDUCE })),
    absurd,
    fc.nat(9),
    fc.nat(3),
    fc.nat(3),
  )
  .map(([c, value, which, drop, rank]) => {
    const names = Object.keys(c.attrs);
    const name = names[which % (names.length || 1)];
    const inputs = c.inputs.map((t, i) => {
      if (!t || i !== drop) return t;
      // One input of another shape: the same elements in a line, or none at all.
      return rank === 0 ? null : rank === 1 ? { ...t, shape: [t.data.length] } : t;
    });
    return { ...c, inputs, attrs: name === undefined ? c.attrs : { ...c.attrs, [name]: value } };
  });

describe('attributes and shapes that make no sense', () => {
  it('end as a result or as an error of the graph, never as a crash', () => {
    let refused = 0;
    fc.assert(
      fc.property(attacked, (c) => {
        try {
          runInterpreter(c);
        } catch (error) {
          refused++;
          expect(error).toBeInstanceOf(VersusError);
          expect(['input', 'unsupported']).toContain((error as VersusError).kind);
        }
      }),
      { numRuns: 3000, seed: 1 },
    );
    expect(refused).toBeGreaterThan(300);
  });
});
