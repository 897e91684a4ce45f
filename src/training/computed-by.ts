import type { Graph } from '../core/graph.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { lowerBatchNorm } from '../transform/lower/batchnorm.ts';
import { lower, type Target } from '../transform/lower/index.ts';
import { ownProducts } from '../transform/own-products.ts';
import { tidy } from '../transform/tidy.ts';

/** A graph of gradients in what a backend computes, without detours. */
export async function computedBy(target: Target | undefined, graph: Graph): Promise<Graph> {
  const lowered = lower(dropDead(graph), target);
  const made = tidy(target?.fixedBatchNorm ? await lowerBatchNorm(lowered) : lowered);
  return dropDead(target?.microsoft ? ownProducts(made) : made);
}
