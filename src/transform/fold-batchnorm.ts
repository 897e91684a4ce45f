import type { Graph, Node, Param } from '../core/graph.ts';
import { elementCount, type TensorData, toNumbers } from '../core/tensor.ts';
import { bytesOf } from '../graph/ops/entry.ts';
import { type Match, rewriteAll } from './rewrite.ts';
import { isOp, type Numbers, tensorOf, type View } from './view.ts';

/** A weight above this that others read, too, is not stored a second time. */
const SHARED_BYTES = 2 ** 20;
const MAX_BYTES = 256 * 2 ** 20;

/** y = factor · x + shift, both by channel. */
interface Affine {
  readonly factor: Float64Array;
  readonly shift: Float64Array;
}

/**
 * Batch normalisations with learnt statistics folded into what they follow.
 *
 * BatchNormalization behind a float32 Conv, ConvTranspose, Gemm, or MatMul of matrices whose weight and bias are constant, and
 * whose result nobody else reads, becomes part of weight and bias: w · s and (b − mean) · s + β with s = γ ÷ √(variance + ε). So
 * do Mul, Add and Sub with a constant per channel, which is how frozen normalisations and layer scales are written. A
 * BatchNormalization elsewhere becomes Mul and Add with constants [1, C, 1, …]. Training mode stays as it is.
 *
 * The new parameters have the roles of the old ones and `/folded` behind their names.
 */
export async function foldBatchNorm(graph: Graph, numbers: Numbers): Promise<Graph> {
  return rewriteAll(graph, async (node, view, fresh) => {
    if (!isOp(node, 'BatchNormalization', 'Mul', 'Add', 'Sub') || !view.onlyFirst(node)) return null;
    const host = hostOf(node, view);
    if (!host && !isOp(node, 'BatchNormalization')) return null;
    const x = host ? host.node.outputs[0]! : node.inputs[0]!;
    const affine = await affineOf(node, x, view, numbers);
    if (!affine) return null;
    return host ? folded(node, host, affine, numbers, fresh) : alone(node, affine, view, fresh);
  });
}

interface Host {
  readonly node: Node;
  readonly weight: Param;
  readonly bias: Param | undefined;
}

/** What makes one of the node's inputs, if it can take a factor and a shift per channel into its parameters. */
function hostOf(node: Node, view: View): Host | null {
  const candidates = isOp(node, 'BatchNormalization', 'Sub') ? node.inputs.slice(0, 1) : node.inputs;
  for (const name of candidates) {
    const host = view.producer(name, 'Conv', 'ConvTranspose', 'Gemm', 'MatMul');
    if (!host || view.soleReader(name) !== node) continue;
    const [weight, bias] = [view.constant(host.inputs[1]), view.constant(host.inputs[2])];
    if (weight?.dtype !== 'float32' || (host.inputs[2] && bias?.dtype !== 'float32')) continue;
    const bytes = bytesOf('float32', weight.shape);
    if (bytes > MAX_BYTES || (bytes > SHARED_BYTES && view.readers(weight.name).length > 1)) continue;
    const matrices = weight.shape.length === 2 && view.type(host.inputs[0])?.shape.length === 2;
    if (isOp(host, 'Gemm', 'MatMul') && !matrices) continue;
    const channels = channelsOf(host, weight);
    if (
      bias &&
      bias.shape.length > 0 &&
      (bias.shape.at(-1) !== channels || elementCount(bias.shape) !== channels)
    )
      continue;
    return { node: host, weight, bias };
  }
  return null;
}

function channelsOf({ op, attrs }: Node, weight: Param): number {
  if (op === 'Conv') return weight.shape[0]!;
  if (op === 'ConvTranspose') return weight.shape[1]! * Number(attrs.group ?? 1);
  return weight.shape[attrs.transB ? 0 : 1]!;
}

async function affineOf(node: Node, x: string, view: View, numbers: Numbers): Promise<Affine | null> {
  const shape = view.type(x)?.shape;
  const channels = shape?.[1];
  if (!shape || typeof channels !== 'number') return null;
  const read = async (name: string): Promise<Float64Array | null> => {
    const param = view.constant(name);
    if (!param || !isPerChannel(param, shape.length, channels)) return null;
    const values = toNumbers(await tensorOf(param, numbers));
    return values.length === channels ? values : new Float64Array(channels).fill(values[0]!);
  };
  if (!isOp(node, 'BatchNormalization')) {
    const other = node.inputs.find((name) => name !== x);
    const values = other === undefined ? null : await read(other);
    if (!values) return null;
    if (isOp(node, 'Mul')) return { factor: values, shift: new Float64Array(channels) };
    const sign = isOp(node, 'Sub') ? -1 : 1;
    return { factor: new Float64Array(channels).fill(1), shift: values.map((v) => sign * v) };
  }
  const { training_mode = 0, spatial = 1, epsilon = 1e-5 } = node.attrs;
  if (training_mode !== 0 || spatial !== 1 || view.opset < 7) return null;
  const params = node.inputs.slice(1).map((name) => view.constant(name));
  if (!params.every((p) => p?.shape.length === 1 && p.shape[0] === channels)) return null;
  const [scale, bias, mean, variance] = (await Promise.all(
    params.map(async (p) => toNumbers(await tensorOf(p!, numbers))),
  )) as [Float64Array, Float64Array, Float64Array, Float64Array];
  const factor = scale.map((s, i) => s / Math.sqrt(variance[i]! + Number(epsilon)));
  return { factor, shift: bias.map((b, i) => b - mean[i]! * factor[i]!) };
}

/** Whether a constant stretches over a value of that rank by channel (dimension 1), or is one number for all. */
function isPerChannel({ shape }: Param, rank: number, channels: number): boolean {
  if (shape.length > rank) return false;
  return shape.every((d, i) => d === 1 || (i + rank - shape.length === 1 && d === channels));
}

async function folded(
  root: Node,
  { node, weight, bias }: Host,
  { factor, shift }: Affine,
  numbers: Numbers,
  fresh: (wanted: string) => string,
): Promise<Match> {
  const { beta = 1, ...attrs } = node.attrs;
  const old = bias && toNumbers(await tensorOf(bias, numbers));
  const added = shift.map(
    (s, i) => s + (old ? Number(beta) * old[old.length === 1 ? 0 : i]! * factor[i]! : 0),
  );
  const unit = factor.every((f) => f === 1);
  const w: Param = unit ? weight : await multiplied(node, weight, factor, numbers, fresh);
  const b = made(
    bias ?? { ...weight, name: `${weight.name}/bias` },
    [factor.length],
    Float32Array.from(added),
    fresh,
  );
  const inputs = [node.inputs[0]!, w.name, b.name];
  // A product without room for a bias becomes one with it.
  const op = node.op === 'MatMul' ? 'Gemm' : node.op;
  return {
    root,
    inner: [node],
    nodes: [{ ...node, op, attrs, inputs, outputs: [root.outputs[0]!] }],
    params: unit ? [b] : [w, b],
  };
}

/** The weight with every output channel multiplied by its factor, computed when it is read if `numbers` offers that. */
async function multiplied(
  node: Node,
  weight: Param,
  factor: Float64Array,
  numbers: Numbers,
  fresh: (wanted: string) => string,
): Promise<Param> {
  const { shape } = weight;
  const data = weight.data as Float32Array | undefined;
  if (!numbers.derive) {
    const values = data ?? ((await numbers.read(weight)).data as Float32Array);
    return made(weight, shape, scaled(node, shape, values.slice(), factor), fresh);
  }
  const { data: _, ...param } = made(weight, shape, new Float32Array(0), fresh);
  numbers.derive(param.name, async (own) => {
    const values = data?.slice() ?? ((await own.read(weight)).data as Float32Array);
    return { dtype: 'float32', shape, data: scaled(node, shape, values, factor) };
  });
  return param;
}

/** A weight with every output channel multiplied by its factor, where it lies. */
function scaled(
  node: Node,
  shape: readonly number[],
  values: Float32Array,
  factor: Float64Array,
): Float32Array {
  // The channel of an element: outer × channels × inner, with the channels of a later group following in later rows.
  const last = node.op === 'ConvTranspose' || (node.op !== 'Conv' && !node.attrs.transB);
  const own = shape[last ? 1 : 0]!;
  const inner = elementCount(shape.slice(last ? 2 : 1));
  const rows = last ? shape[0]! / (node.op === 'ConvTranspose' ? Number(node.attrs.group ?? 1) : 1) : 1;
  for (let block = 0, i = 0; i < values.length; block++) {
    const outer = Math.floor(block / own);
    const f = factor[Math.floor(outer / rows) * own + (block % own)]!;
    for (const end = i + inner; i < end; i++) values[i]! *= f;
  }
  return values;
}

function alone(
  node: Node,
  { factor, shift }: Affine,
  view: View,
  fresh: (wanted: string) => string,
): Match | null {
  const { dtype, shape } = view.type(node.inputs[0])!;
  if (dtype !== 'float32') return null;
  const spread = shape.map((_, i) => (i === 1 ? factor.length : 1));
  const stem = node.name || node.outputs[0]!;
  const constant = (name: string, values: Float64Array): Param => {
    const role = 'constant' as const;
    return { name: fresh(`${stem}/${name}`), dtype, shape: spread, role, data: Float32Array.from(values) };
  };
  const [f, s] = [constant('factor', factor), constant('shift', shift)];
  const between = fresh(`${node.outputs[0]}/scaled`);
  const nodes: Node[] = [
    { op: 'Mul', name: node.name, inputs: [node.inputs[0]!, f.name], outputs: [between], attrs: {} },
    {
      op: 'Add',
      name: fresh(`${stem}/Add`),
      inputs: [between, s.name],
      outputs: [node.outputs[0]!],
      attrs: {},
    },
  ];
  return { root: node, inner: [], nodes, params: [f, s] };
}

function made(
  of: Param,
  shape: readonly number[],
  data: TensorData,
  fresh: (wanted: string) => string,
): Param {
  const { name, role } = of;
  const base = name.endsWith('/folded') ? name : `${name}/folded`;
  return { name: fresh(base), dtype: 'float32', shape, role, data };
}
