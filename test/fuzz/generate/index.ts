import fc from 'fast-check';
import { type FuzzCase, Sketch } from '../sketch.ts';
import { conversions } from './conversions.ts';
import type { Step, Steps } from './draws.ts';
import { elementwise } from './elementwise.ts';
import { indexing } from './indexing.ts';
import { movement } from './movement.ts';
import { normalisations } from './normalisations.ts';
import { products } from './products.ts';
import { rare } from './rare.ts';
import { reductions } from './reductions.ts';
import { shapes } from './shapes.ts';
import { windows } from './windows.ts';

/** Every kind of step, by the operator that it is about. */
export const STEPS: Steps = {
  ...elementwise,
  ...movement,
  ...shapes,
  ...indexing,
  ...reductions,
  ...products,
  ...windows,
  ...normalisations,
  ...conversions,
  ...rare,
};

/** Operator sets that exporters write, and those in which an operator changed its form. */
const OPSETS = [17, 18, 13, 12, 11, 14, 16, 20, 21, 10, 9, 23, 24];

/** A graph that was drawn; what the sketch says of the reference is kept beside it. */
export interface Drawn {
  readonly test: FuzzCase | null;
  readonly broken: string | null;
}

/**
 * Random graphs of 1 to 6 steps. They shrink to fewer steps, smaller shapes, plainer attributes.
 *
 * @param only graphs in which every other step or more is about this operator
 */
export function graphs(only?: string): fc.Arbitrary<Drawn> {
  const any = fc.oneof(...Object.values(STEPS));
  const step: fc.Arbitrary<Step> = only ? fc.oneof({ withCrossShrink: true }, STEPS[only]!, any) : any;
  return fc
    .tuple(fc.constantFrom(...OPSETS), fc.array(step, { minLength: 1, maxLength: 6 }))
    .map(([opset, steps]) => {
      const sketch = new Sketch(opset);
      for (const apply of steps) if (sketch.broken === null) apply(sketch);
      return { test: sketch.finish(), broken: sketch.broken };
    });
}
