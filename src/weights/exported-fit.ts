import { VersusError } from '../core/errors.ts';
import type { Graph, ValueInfo } from '../core/graph.ts';

const CACHE = /^(past_key_values|present)\.\d+\./;

/**
 * Whether an exported file is of the model that it is given for: sizes that both declare for inputs and outputs of the same
 * name are equal (image height, width of features, vocabulary, heads), and both have the same layers in the cache.
 * @param ours the graph that the model builds
 * @throws VersusError `input` naming the values that differ
 */
export function checkExported(
  model: string,
  graphName: string,
  ours: Graph,
  theirs: Graph,
  path: string,
): void {
  const problems: string[] = [];
  for (const side of ['inputs', 'outputs'] as const) {
    const declared = new Map(theirs[side].map((info) => [info.name, info]));
    const wanted = new Set(ours[side].map((info) => info.name));
    for (const info of ours[side]) {
      const other = declared.get(info.name);
      if (other) {
        if (differs(info, other))
          problems.push(`${info.name}: the model has [${info.shape}], the file [${other.shape}]`);
      } else if (CACHE.test(info.name)) problems.push(`${info.name}: the file has none`);
    }
    for (const { name } of theirs[side]) {
      if (CACHE.test(name) && !wanted.has(name)) problems.push(`${name}: the model has none`);
    }
  }
  if (problems.length === 0) return;
  const rest = problems.length > 6 ? `; and ${problems.length - 6} more` : '';
  throw new VersusError(
    'input',
    `the ONNX file is not of ${model}, graph ${graphName}: ${problems.slice(0, 6).join('; ')}${rest}`,
    { where: path, next: 'name the folder that was exported from this model' },
  );
}

/** Features of several images may lie in one row or in several, so with other ranks only the width counts. */
function differs(ours: ValueInfo, theirs: ValueInfo): boolean {
  const unequal = (a: unknown, b: unknown): boolean =>
    typeof a === 'number' && typeof b === 'number' && a !== b;
  if (ours.shape.length !== theirs.shape.length) return unequal(ours.shape.at(-1), theirs.shape.at(-1));
  return ours.shape.some((dim, axis) => unequal(dim, theirs.shape[axis]));
}
