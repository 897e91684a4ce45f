import { VersusError } from '../../core/errors.ts';
import type { Graph } from '../../core/graph.ts';
import { showShape } from '../../graph/dims.ts';
import { inferShapes } from '../../graph/infer.ts';
import { dropDead } from '../../transform/drop-dead.ts';
import { foldConstants } from '../../transform/fold-constants.ts';

/** A causal mask is made of two short ranges, and the same in every step: 64 MiB are that of 4096 places. */
const MASK_BYTES = 64 * 2 ** 20;

/**
 * A joined graph with everything computed that no step changes: masks, positions, shape arithmetic, empty caches. What hangs on
 * weights stays, since they are what a step changes. `values` holds the types of all values.
 *
 * @throws VersusError `usage` when a text is longer than a table of positions, `unsupported` for shapes that depend on numbers
 */
export async function settled(graph: Graph): Promise<Graph> {
  // What may be fed is not taken for a constant: that keeps whatever is made of weights in the graph.
  const weights = graph.params.filter((p) => p.role !== 'constant' || !p.data);
  const open: Graph = { ...graph, inputs: [...graph.inputs, ...weights] };
  const read = (): never => {
    throw new TypeError('constants carry their numbers');
  };
  const folded = dropDead(await foldConstants(open, { read: async () => read() }, { small: MASK_BYTES }));
  const typed = inferShapes({ ...folded, inputs: graph.inputs });
  mustBeStatic(typed);
  mustFitTables(typed);
  return typed;
}

function mustBeStatic(graph: Graph): void {
  for (const node of graph.nodes) {
    for (const name of node.outputs) {
      const shape = graph.values?.[name]?.shape;
      if (name === '' || shape?.every((d) => typeof d === 'number')) continue;
      throw new VersusError(
        'unsupported',
        `training needs sizes, and those of ${name} depend on numbers${shape ? `: ${showShape(shape)}` : ''}`,
        { where: `graph ${graph.name}, node ${node.name} (${node.op})` },
      );
    }
  }
}

/** Constant places in a table of weights lie inside it: runtimes say too little of it, or nothing. */
function mustFitTables(graph: Graph): void {
  const params = new Map(graph.params.map((p) => [p.name, p]));
  for (const node of graph.nodes) {
    if (node.op !== 'Gather' || (node.attrs.axis ?? 0) !== 0) continue;
    const [table, places] = node.inputs.map((name) => params.get(name));
    if (!table || places?.role !== 'constant' || !places.data) continue;
    const last = Math.max(...Array.from(places.data, Number));
    const rows = table.shape[0]!;
    if (last < rows) continue;
    throw new VersusError('usage', `a text needs place ${last}, and ${table.name} has ${rows}`, {
      where: `graph ${graph.name}, node ${node.name}`,
      next: 'train on shorter texts',
    });
  }
}
