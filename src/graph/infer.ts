import { VersusError } from '../core/errors.ts';
import type { Graph, Node, Param, ValueInfo } from '../core/graph.ts';
import { bindDim, UNKNOWN_RANK } from './dims.ts';
import { smallValue } from './ops/create.ts';
import { OpContext, type Type, typed } from './ops/entry.ts';
import { operatorOf } from './ops/index.ts';

/** Elements of shape arithmetic that are followed in one graph; real ones need a few thousand. */
const MAX_FOLLOWED = 2 ** 20;

/** What a parameter is to shape inference: small constants are followed by their contents. */
export function typeOfParam(param: Param): Type {
  const value = param.data && param.role === 'constant' ? smallValue(param.dtype, param.data) : undefined;
  return typed(param.dtype, param.shape, value);
}

/** Checks the number of inputs and outputs, then applies the table's shape rule. Null: an operator that the table lacks. */
export function inferNode(
  node: Node,
  inputs: readonly (Type | null)[],
  options: { opset: number; strict: boolean; fresh: (hint: string) => string },
): readonly Type[] | null {
  const entry = operatorOf(node);
  if (!entry) return null;
  const c = new OpContext(node, inputs, options);
  const [least, most] = entry.inputs;
  if (inputs.length < least || inputs.length > most)
    c.fail(`${inputs.length} inputs, wants ${least} to ${most}`);
  for (let i = 0; i < least; i++) if (!inputs[i]) c.fail(`input ${i} is missing`);
  if (node.outputs.length < 1 || node.outputs.length > (entry.outputs ?? 1)) {
    c.fail(`${node.outputs.length} outputs, has at most ${entry.outputs ?? 1}`);
  }
  const types = entry.infer(c);
  for (const { shape } of types) {
    if (shape.length > 64) c.fail(`a result of rank ${shape.length}`);
    for (const d of shape) {
      if (typeof d === 'number' && !(d >= 0 && Number.isSafeInteger(d)))
        c.fail(`a result with dimension ${d}`);
    }
  }
  return types;
}

/**
 * Types of all values, in one pass over the nodes in order. Integer tensors that hold shapes are followed by their
 * contents, so files whose shape arithmetic is spelt out in nodes are typed fully once `dims` gives the input sizes.
 *
 * @param dims sizes for symbolic dimensions of the inputs; a dimension such as `past+sequence` follows from its parts
 * @returns the same graph with `values` for every value whose type is known (inputs and parameters included), `inputs`
 * with the sizes put in, and `outputs` with inferred shapes. Behind an operator that the table lacks, values are unknown,
 * except those that the file declares.
 * @throws VersusError `input` that names operator, node and shapes, where the graph contradicts itself
 */
export function inferShapes(graph: Graph, dims: Readonly<Record<string, number>> = {}): Graph {
  const { types, inputs } = inferTypes(graph, dims);
  const values: Record<string, ValueInfo> = Object.create(null) as Record<string, ValueInfo>;
  for (const [name, { dtype, shape }] of types) values[name] = { name, dtype, shape };
  const outputs = graph.outputs.map((o) => {
    const type = types.get(o.name);
    return type ? { name: o.name, dtype: type.dtype, shape: type.shape } : o;
  });
  return { ...graph, inputs, outputs, values };
}

/** `inferShapes` with the contents of small tensors, for the rules that need them. */
export function inferTypes(
  graph: Graph,
  dims: Readonly<Record<string, number>>,
): { types: Map<string, Type>; inputs: ValueInfo[] } {
  const types = new Map<string, Type>();
  for (const [name, size] of Object.entries(dims)) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new VersusError('input', `dimension ${name} can't be ${size}`, { next: 'Give a whole number.' });
    }
  }
  const bound = (info: ValueInfo): ValueInfo => ({ ...info, shape: info.shape.map((d) => bindDim(d, dims)) });
  const inputs = graph.inputs.map(bound);
  for (const { name, dtype, shape } of inputs)
    if (shape[0] !== UNKNOWN_RANK) types.set(name, { dtype, shape });
  for (const param of graph.params) types.set(param.name, typeOfParam(param));
  let unknown = 0;
  let followed = 0;
  const options = {
    opset: graph.opset[''] ?? 1,
    strict: false,
    fresh: (hint: string) => `?${hint}${unknown++}`,
  };
  for (const node of graph.nodes) {
    const known = node.inputs.map((name) => (name === '' ? null : types.get(name)));
    const inferred = known.includes(undefined) ? null : inferNode(node, known as (Type | null)[], options);
    node.outputs.forEach((name, i) => {
      const given = graph.values && Object.hasOwn(graph.values, name) ? graph.values[name] : undefined;
      const type: Type | undefined = inferred?.[i] ?? (given && bound(given));
      if (name === '' || !type) return;
      followed += type.value?.length ?? 0;
      types.set(name, followed > MAX_FOLLOWED ? { dtype: type.dtype, shape: type.shape } : type);
    });
  }
  return { types, inputs };
}
