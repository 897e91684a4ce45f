import { VersusError } from '../../core/errors.ts';
import type { ModelDef } from '../../core/model.ts';
import { patchPositions, type Run } from '../../core/positions.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';
import { graft } from '../../graph/graft.ts';
import type { Sizes } from './forward.ts';
import { type Graphs, graphNamed, sizedInput } from './inputs.ts';

/** An image of every sequence as the language model gets it. */
export interface Seen {
  /** [batch, tokens, width] */
  readonly features: Value;
  readonly tokens: number;
  /** The image among the runs of a prompt. */
  readonly run: Run;
}

/**
 * The vision graph over an image per sequence: its inputs become inputs of the joined graph, except where a patch lies, which
 * follows from the grid.
 * @throws VersusError `usage` for a model of images of any size without `grid`
 */
export function seenImage(g: GraphBuilder, model: ModelDef, graphs: Graphs, sizes: Sizes): Seen {
  const graph = graphNamed(model, graphs, 'vision');
  const { batch, grid } = sizes;
  const { tiling } = model;
  if (tiling && !grid) {
    throw new VersusError('usage', 'the model takes images of any size, and none is given', {
      where: model.name,
      next: `give grid: rows and columns of ${tiling.kind === 'crops' ? 'crops' : 'tokens'}`,
    });
  }
  const [rows = 1, columns = 1] = grid ?? [];
  const dims = { batch, rows, columns, tokens: rows * columns };
  const inputs: Record<string, Value> = {};
  for (const { name } of graph.inputs) {
    inputs[name] =
      tiling?.kind === 'patches' && name === 'patch_positions'
        ? g.constant(patchPositions(rows * tiling.merge, columns * tiling.merge, tiling.merge), 'patches')
        : sizedInput(g, model, graph, name, dims);
  }
  const output = graph.outputs.find((o) => o.name === 'image_features') ?? graph.outputs[0]!;
  const found = graft(g, 'vision', graph, inputs, [output.name])[output.name]!;
  const width = found.shape.at(-1)!;
  const tokens = found.shape.slice(0, -1).reduce<number>((n, d) => n * Number(d), 1) / batch;
  const features = found.shape.length === 3 ? found : g.reshape(found, [batch, tokens, width]);
  const patched = tiling?.kind === 'patches';
  return { features, tokens, run: patched ? { grid: [1, rows, columns] } : { text: tokens } };
}

/**
 * Something [batch, sequence, …] with something else of so many tokens put between: behind the first `before` tokens.
 * @throws VersusError `usage` when there are not as many tokens before
 */
export function putBetween(g: GraphBuilder, text: Value, image: Value, before: number): Value {
  const sequence = Number(text.shape[1]);
  if (!(Number.isInteger(before) && before >= 0 && before <= sequence)) {
    throw new VersusError('usage', `before: ${before} of ${sequence} tokens come before the image`);
  }
  const first = before > 0 ? [g.slice(text, [0], [before], [1])] : [];
  const rest = before < sequence ? [g.slice(text, [before], [sequence], [1])] : [];
  return g.concat([...first, image, ...rest], 1);
}
