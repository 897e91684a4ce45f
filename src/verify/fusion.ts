import type { Tensors } from '../core/tensor.ts';
import type { OutputDifference } from '../stats/parity.ts';
import { readsOf } from '../transform/captures.ts';
import { differenceOf } from './differ.ts';
import { type Found, type Side, type Value, valuesOf, valuesOn } from './sweep.ts';
import type { Workbench } from './workbench.ts';

/**
 * Where a fault lies that only optimisation brings about. Intermediate values cannot all be looked at, since one that is an
 * output is fused into nothing; so each is asked for alone, of the graph that leads to it and no further. What is found is
 * the node at whose result optimised computing goes wrong while everything that it reads comes out right: the last node of what
 * was fused.
 *
 * @param output an output of the graph that differs
 */
export async function fusedAt(
  bench: Workbench,
  tested: Side,
  reference: Side,
  feeds: Tensors,
  tolerance: number,
  output: string,
): Promise<Found | null> {
  const values = leadingTo(valuesOf(bench.graph, feeds), output);
  const known = new Map<string, OutputDifference>();
  const difference = async (value: Value): Promise<OutputDifference> => {
    const { name } = value.info;
    const found =
      known.get(name) ??
      differenceOf(
        name,
        await valuesOn(tested, bench, [value], feeds),
        await valuesOn(reference, bench, [value], feeds),
        tolerance,
      );
    known.set(name, found);
    return found;
  };
  let wrong = values.length - 1;
  if (wrong < 0 || (await difference(values[wrong]!)).agrees) return null;
  let right = -1;
  while (wrong - right > 1) {
    const middle = (wrong + right) >> 1;
    if ((await difference(values[middle]!)).agrees) right = middle;
    else wrong = middle;
  }
  // Halving may have passed a branch beside: go on to whatever this node reads that is wrong already.
  for (let value = values[wrong]!; ; ) {
    const reads = readsOf(value.node);
    let earlier: Value | undefined;
    for (const candidate of values) {
      if (!reads.has(candidate.info.name) || (await difference(candidate)).agrees) continue;
      earlier = candidate;
      break;
    }
    if (!earlier) return { value, difference: await difference(value) };
    value = earlier;
  }
}

/** The values that an output depends on, in their order, itself last. */
function leadingTo(values: readonly Value[], output: string): Value[] {
  const needed = new Set([output]);
  const found: Value[] = [];
  for (const value of [...values].reverse()) {
    if (!needed.has(value.info.name)) continue;
    found.push(value);
    for (const name of readsOf(value.node)) needed.add(name);
  }
  return found.reverse();
}
