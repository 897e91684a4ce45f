import type { Attribute, Node } from '../core/graph.ts';
import { sameDim } from '../graph/dims.ts';
import type { Type } from '../graph/ops/entry.ts';
import { isOp } from './view.ts';

/** Operators whose result is their first input whenever it has that input's type: nothing else can have happened. */
const SHAPING: readonly string[] = [
  'Identity',
  'Cast',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Expand',
];
/** Those that combine any number of inputs, of which one is enough. */
const COMBINING: readonly string[] = ['Concat', 'Sum', 'Mean', 'Max', 'Min'];

/**
 * Whether a node hands its first input on as it is: Identity, Dropout at inference, a Cast to the type that is there already,
 * a Reshape or Expand to the same shape, a Transpose that moves nothing, a Slice of everything, a Pad by nothing, a Concat of
 * one. Only its first result may be wanted.
 *
 * @param known numbers of a small input, where they are known
 */
export function isUnchanged(
  node: Node,
  input: Type | undefined,
  output: Type | undefined,
  known: (input: number) => readonly number[] | undefined,
): boolean {
  if (isOp(node, 'Identity')) return true;
  if (isOp(node, 'Dropout')) return dropsNothing(node, known);
  if (isOp(node, ...COMBINING) && node.inputs.length === 1) return true;
  if (!input || !output || !sameType(input, output)) return false;
  if (isOp(node, ...SHAPING)) return true;
  if (isOp(node, 'Transpose')) {
    const perm = asNumbers(node.attrs.perm);
    return perm ? perm.every((p, i) => p === i) : input.shape.length < 2;
  }
  // Pads may be negative: the same size alone does not mean the same elements.
  if (isOp(node, 'Pad')) return (known(1) ?? asNumbers(node.attrs.pads))?.every((pad) => pad === 0) ?? false;
  return isOp(node, 'Slice') && keepsOrder(node, known);
}

function asNumbers(attribute: Attribute | undefined): readonly number[] | undefined {
  return Array.isArray(attribute) ? attribute.map(Number) : undefined;
}

export function sameType(a: Type, b: Type): boolean {
  return (
    a.dtype === b.dtype &&
    a.shape.length === b.shape.length &&
    a.shape.every((d, i) => sameDim(d, b.shape[i]!))
  );
}

/** Opset 12 gave Dropout a training mode; before, files are for inference. */
function dropsNothing(node: Node, known: (input: number) => readonly number[] | undefined): boolean {
  const training = node.inputs[2] ? known(2)?.[0] : 0;
  // A ratio that is left out is 0.5.
  return training === 0 || (Boolean(node.inputs[1]) && known(1)?.[0] === 0);
}

function keepsOrder(node: Node, known: (input: number) => readonly number[] | undefined): boolean {
  return !node.inputs[4] || Boolean(known(4)?.every((step) => step === 1));
}
