import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { byteTokenizer, openTokenizer } from '../data/tokenizer.ts';
import { graphOf } from './cost.ts';

/** Operators that hand token ids on unchanged. */
const PASSING = new Set(['Cast', 'Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Clip']);

/**
 * Rows of the table that `input` indexes: the number of token ids a graph embeds. Follows the input through operators
 * that hand ids on to the first Gather from a parameter; null when there is none.
 */
export function vocabularyOf(graph: Graph, input: string): number | null {
  const params = new Map(graph.params.map((p) => [p.name, p]));
  const ids = new Set([input]);
  for (const node of graph.nodes) {
    const [first = '', second = ''] = node.inputs;
    if (node.op === 'Gather' && ids.has(second)) {
      const rows = params.get(first)?.shape[0];
      if (rows !== undefined) return rows;
    }
    if (PASSING.has(node.op) && ids.has(first)) ids.add(node.outputs[0]!);
  }
  return null;
}

/**
 * The tokenizer of a model's text graph: the file that is named, else the model's own, else bytes folded into the vocabulary.
 * @throws VersusError `unsupported` when the graph embeds no ids.
 */
export async function tokenizerOf(
  model: ModelDef,
  graphName: string,
  file: string | undefined,
): Promise<Tokenizer> {
  const vocabulary = vocabularyOf(await graphOf(model, graphName), 'input_ids');
  if (vocabulary === null) {
    throw new VersusError('unsupported', 'cannot tell the vocabulary: input_ids reaches no embedding', {
      where: `${model.name}: graph ${graphName}`,
      next: 'the graph needs an input `input_ids` that a Gather looks up in an initialiser',
    });
  }
  const own = file ?? model.tokenizer;
  return own === undefined ? byteTokenizer(vocabulary) : openTokenizer(own, vocabulary);
}

/** Exactly `length` ids: the text's, repeated from the start where they are too few. */
export function exactly(ids: readonly number[], length: number): number[] {
  if (ids.length === 0)
    throw new VersusError('usage', 'the prompt has no tokens', { next: 'give it a text' });
  return Array.from({ length }, (_, i) => ids[i % ids.length]!);
}
