import { VersusError } from '../../core/errors.ts';
import type { Graph, ValueInfo } from '../../core/graph.ts';
import type { ModelDef } from '../../core/model.ts';
import { int64, tensor } from '../../core/tensor.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';
import { bindDim, namesIn, showShape } from '../../graph/dims.ts';
import type { Sizes } from './forward.ts';

export type Graphs = Readonly<Record<string, Graph>>;

/** A model's graph by name. @throws VersusError `unsupported` where it has none */
export function graphNamed(model: ModelDef, graphs: Graphs, name: string): Graph {
  const graph = graphs[name];
  if (graph) return graph;
  throw new VersusError('unsupported', `the model has no graph ${name} to be trained through`, {
    where: `${model.name}, graphs ${Object.keys(graphs).join(', ')}`,
  });
}

/** A size that has to be given. @throws VersusError `usage` naming it */
export function sizeOf(model: ModelDef, sizes: Sizes, name: 'sequence' | 'prompt'): number {
  const size =
    sizes[name] ?? (name === 'sequence' ? (model.text?.context ?? model.dims?.sequence) : undefined);
  if (size !== undefined && Number.isInteger(size) && size > 0) return size;
  throw new VersusError(
    'usage',
    `the number of tokens of a ${name === 'prompt' ? 'prompt' : 'text'} is ${size}`,
    {
      where: model.name,
      next: `give ${name}, a whole number`,
    },
  );
}

/**
 * An input of one of the model's graphs as an input of the joined one, with the sizes of a batch in place of names.
 * @throws VersusError `usage` naming dimensions that nothing gives
 */
export function sizedInput(
  g: GraphBuilder,
  model: ModelDef,
  graph: Graph,
  name: string,
  dims: Readonly<Record<string, number>>,
): Value {
  const info = inputOf(model, graph, name);
  const shape = info.shape.map((d) => bindDim(d, { ...model.dims, ...dims }));
  const open = shape.find((d) => typeof d === 'string');
  if (open !== undefined) {
    throw new VersusError(
      'usage',
      `the size of dimension ${namesIn(open).join(', ') || open} of ${name} is not given`,
      {
        where: `${model.name}, graph ${graph.name}, input ${name} ${showShape(info.shape)}`,
        next: 'give it among the sizes of a batch (an image of any size: grid), or as `dims` of the model',
      },
    );
  }
  return g.input(name, info.dtype, shape);
}

export function inputOf(model: ModelDef, graph: Graph, name: string): ValueInfo {
  const info = graph.inputs.find((i) => i.name === name);
  if (info) return info;
  throw new VersusError('unsupported', `there is no input ${name}`, {
    where: `${model.name}, graph ${graph.name}, inputs ${graph.inputs.map((i) => i.name).join(', ')}`,
  });
}

/**
 * What a decoder or encoder reads besides its tokens, the same in every step: masks that hide nothing, positions that count
 * up, caches of no length. Masks and positions are those of one sequence, which broadcasts over the batch, except in a user's
 * own graphs, which may count on the declared shape.
 *
 * @param past lengths of what a mask covers beyond `sequence`
 * @param positions values of position_ids, [sequence] or [axes, sequence]; 0, 1, 2 … when left out
 * @returns values for those of the graph's inputs that are of these kinds
 */
export function fixedInputs(
  g: GraphBuilder,
  model: ModelDef,
  graph: Graph,
  { batch, sequence }: { readonly batch: number; readonly sequence: number },
  positions?: readonly number[],
): Record<string, Value> {
  const rows = model.files ? batch : 1;
  const made: Record<string, Value> = {};
  for (const { name, dtype, shape } of graph.inputs) {
    if (/(^|_)attention_mask$/.test(name)) {
      made[name] = g.constant(
        int64([rows, sequence], new Array<number>(rows * sequence).fill(1)),
        'all_seen',
      );
    } else if (name === 'position_ids') {
      const counted = positions ?? Array.from({ length: sequence }, (_, i) => i);
      const axes = counted.length / sequence;
      const values = Array.from({ length: axes }, (_, axis) =>
        Array.from({ length: rows }, () => counted.slice(axis * sequence, (axis + 1) * sequence)).flat(),
      ).flat();
      const lead = shape.length === 3 ? [Number(shape[0]) || axes] : [];
      made[name] = g.constant(int64([...lead, rows, sequence], values), 'positions');
    } else if (/^past_key_values\./.test(name)) {
      const [, heads, , width] = shape.map(Number) as [number, number, number, number];
      made[name] = g.constant(tensor(dtype, [batch, heads, 0, width], new Float32Array(0)), 'empty');
    }
  }
  return made;
}
