import type { Node } from '../core/graph.ts';

/** Which of a node's values its gradient reads. `wanted[i]` says whether input i needs a gradient. */
type Rule = (node: Node, wanted: readonly boolean[]) => readonly string[];

const nothing: Rule = () => [];
const output: Rule = ({ outputs }) => [outputs[0]!];
const inputs: Rule = ({ inputs: all }) => all;
const first: Rule = ({ inputs: all }) => [all[0]!];
/** In a product the gradient of one factor is made of the others. */
const otherFactors: Rule = ({ inputs: all }, wanted) =>
  all.filter((_, i) => wanted.some((w, j) => w && j !== i && j < 2) && i < 2);
/** Of a quotient a ÷ b: b for a's gradient, both for b's. */
const quotient: Rule = ({ inputs: [a, b] }, wanted) => (wanted[1] ? [a!, b!] : [b!]);
/** Whole numbers and truth values that say which elements were taken. */
const selectors =
  (...at: number[]): Rule =>
  ({ inputs: all }) =>
    at.map((i) => all[i]).filter((name) => name !== undefined);

const RULES: Readonly<Record<string, Rule>> = {
  ...named(nothing, [
    'Add',
    'Sub',
    'Neg',
    'Sum',
    'Mean',
    'Identity',
    'Cast',
    'Reshape',
    'Flatten',
    'Squeeze',
  ]),
  ...named(nothing, ['Unsqueeze', 'Transpose', 'Concat', 'Split', 'Slice', 'Expand', 'Pad', 'Tile']),
  ...named(nothing, [
    'ReduceSum',
    'ReduceMean',
    'GlobalAveragePool',
    'AveragePool',
    'DepthToSpace',
    'SpaceToDepth',
  ]),
  ...named(nothing, ['Trilu', 'Dropout', 'Shape', 'Floor', 'Ceil', 'Round', 'Sign', 'Resize']),
  ...named(output, ['Softmax', 'LogSoftmax', 'Sigmoid', 'Tanh', 'Exp', 'Sqrt', 'Reciprocal', 'Relu']),
  ...named(first, [
    'Erf',
    'Gelu',
    'Sin',
    'Cos',
    'Log',
    'Abs',
    'Clip',
    'LeakyRelu',
    'HardSwish',
    'Softplus',
    'Elu',
  ]),
  ...named(first, [
    'LayerNormalization',
    'BatchNormalization',
    'GroupNormalization',
    'InstanceNormalization',
  ]),
  ...named(first, ['RMSNormalization', 'LpNormalization', 'Pow', 'ReduceL2', 'MaxPool', 'GlobalMaxPool']),
  ...named(inputs, ['Min', 'Max', 'PRelu', 'ReduceMax', 'ReduceMin']),
  ...named(otherFactors, ['Mul', 'MatMul', 'MatMulNBits', 'Gemm', 'Conv', 'ConvTranspose']),
  Div: quotient,
  Where: selectors(0),
  Gather: selectors(1),
  GatherElements: selectors(1),
  GatherND: selectors(1),
  ScatterND: selectors(1),
  ScatterElements: selectors(1),
};

function named(rule: Rule, ops: readonly string[]): Record<string, Rule> {
  return Object.fromEntries(ops.map((op) => [op, rule]));
}

/**
 * The values of a node that must still be there when its gradient is computed (the derivative of each operator). An operator
 * without a rule keeps everything that it touches, which is the most that it could need.
 */
export function savedBy(node: Node, wanted: readonly boolean[]): readonly string[] {
  const rule = Object.hasOwn(RULES, node.op) ? RULES[node.op] : undefined;
  return rule ? rule(node, wanted) : [...node.inputs, ...node.outputs];
}
