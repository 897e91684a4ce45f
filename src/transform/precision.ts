import { VersusError } from '../core/errors.ts';
import type { Attribute, Graph, Node, Param, TensorAttribute } from '../core/graph.ts';
import { type DType, toFloat16 } from '../core/tensor.ts';
import { codeOf } from '../graph/dtypes.ts';
import { inferShapes, inferTypes } from '../graph/infer.ts';
import { operatorOf } from '../graph/ops/index.ts';

/**
 * Operators that keep float32: those that ONNX doesn't define for float16, and those whose float16 result is useless:
 * sums and squares overflow at 65,504, epsilons of normalisations vanish, positions above 2,048 are no longer whole.
 */
const KEEP: ReadonlySet<string> = new Set([
  ...[
    'Range',
    'CumSum',
    'QuantizeLinear',
    'DequantizeLinear',
    'DynamicQuantizeLinear',
    'CastLike',
    'ConstantOfShape',
  ],
  ...['RandomNormal', 'RandomUniform', 'RandomNormalLike', 'RandomUniformLike', 'EyeLike'],
  ...[
    'ReduceMean',
    'ReduceSum',
    'ReduceL1',
    'ReduceL2',
    'ReduceSumSquare',
    'ReduceLogSum',
    'ReduceLogSumExp',
    'ReduceProd',
  ],
  ...['Pow', 'Sqrt', 'Reciprocal', 'Exp', 'Log', 'Sin', 'Cos', 'Tan'],
  'SoftmaxCrossEntropyLoss',
]);
/** Outputs that are float32 whatever the inputs are: the statistics of LayerNormalization. */
const FULL_OUTPUTS: Readonly<Record<string, readonly number[]>> = { LayerNormalization: [1, 2] };
/** Inputs that ONNX types as float32 whatever the data are: roi and scales of Resize. */
const FULL_INPUTS: Readonly<Record<string, readonly number[]>> = { Resize: [1, 2] };

const HALF_MAX = 65_504;

type Width = 'half' | 'full';

/**
 * The graph computing in float16.
 *
 * - Weights and buffers become float16 under the same name; only their `dtype` says so. A `WeightSource` that holds
 *   float32 must deliver float16 for them (rounded to nearest even).
 * - Inputs and outputs stay float32, with a Cast at the edge: the same feeds fit both precisions.
 * - Angles of rotary embeddings, from the positions to the sine, stay float32 with their frequencies.
 * - Operators in `KEEP` compute in float32, and so does what lies between them and touches no float16 value or weight
 *   (mean square + epsilon of a normalisation).
 * - Constants beyond ±65,504 (masks) and what float32 operators make of them are clamped to it on their way to float16, so
 *   that a row that is masked altogether doesn't become NaN.
 *
 * @param wide further nodes that compute in float32
 * @throws VersusError `unsupported` at an operator whose types the table doesn't know, or a subgraph
 */
export function toHalf(graph: Graph, wide: (node: Node) => boolean = () => false): Graph {
  const cast = new HalfCast(graph, wide);
  for (const node of graph.nodes) cast.node(node);
  return cast.finish();
}

class HalfCast {
  readonly #graph: Graph;
  readonly #dtypes: ReadonlyMap<string, { dtype: DType }>;
  readonly #nodes: Node[] = [];
  readonly #params = new Map<string, Param>();
  /** Constants of the source graph, which exist in whichever width is asked for. */
  readonly #constants = new Map<string, Param>();
  readonly #names: Set<string>;
  /** How wide a float value is in the new graph, and its name there by width. */
  readonly #width = new Map<string, Width>();
  readonly #versions = new Map<string, string>();
  readonly #outputs: ReadonlySet<string>;
  /** float32 values that a constant beyond float16 went into: they are clipped before they become float16. */
  readonly #large = new Set<string>();
  /** Values that angles of sines and cosines are computed from. */
  readonly #angles: ReadonlySet<string>;
  readonly #wide: (node: Node) => boolean;

  constructor(graph: Graph, wide: (node: Node) => boolean) {
    this.#graph = graph;
    this.#wide = wide;
    this.#dtypes = inferTypes(graph, {}).types;
    this.#names = new Set(graph.nodes.flatMap((n) => [n.name, ...n.outputs]));
    this.#outputs = new Set(graph.outputs.map((o) => o.name));
    this.#angles = angles(graph, (name) => this.#dtypes.get(name)?.dtype === 'float32');
    for (const p of graph.params) {
      this.#names.add(p.name);
      if (p.dtype !== 'float32') this.#params.set(p.name, p);
      else if (this.#angles.has(p.name)) {
        this.#params.set(p.name, p);
        this.#define(p.name, 'full', p.name);
      } else if (p.role === 'constant' && p.data) this.#constants.set(p.name, p);
      else {
        this.#params.set(p.name, {
          ...p,
          dtype: 'float16',
          ...(p.data && { data: halved(p.data as Float32Array) }),
        });
        this.#define(p.name, 'half', p.name);
      }
    }
    for (const { name, dtype } of graph.inputs) {
      this.#names.add(name);
      if (dtype !== 'float32') continue;
      this.#versions.set(`full ${name}`, name);
      this.#width.set(name, 'half');
    }
  }

  node(node: Node): void {
    const where = { where: `node ${node.name}`, next: 'Run this model in fp32.' };
    const label = node.domain ? `${node.domain}.${node.op}` : node.op;
    const subgraph = Object.values(node.attrs).some((a) => isKind(a, 'graph'));
    if (!operatorOf(node) || subgraph)
      throw new VersusError('unsupported', `${label} can't be cast to fp16`, where);
    for (const o of node.outputs) {
      if (o !== '' && !this.#dtypes.has(o))
        throw new VersusError('unsupported', `the type of ${o} is not known`, where);
    }
    const value = node.attrs.value;
    if (node.op === 'Constant' && isKind(value, 'tensor') && value.dtype === 'float32') {
      const [name] = node.outputs as [string];
      this.#constants.set(name, {
        name,
        role: 'constant',
        dtype: value.dtype,
        shape: value.shape,
        data: value.data,
      });
      return;
    }
    const width = this.#widthOf(node);
    const fixed = FULL_INPUTS[node.op];
    const inputs = node.inputs.map((name, i) => {
      if (!this.#isFloat(name)) return name;
      // A Cast reads any type: it takes the value as it is.
      if (node.op === 'Cast' && this.#width.has(name)) return this.#read(name, this.#width.get(name)!);
      return this.#read(name, fixed?.includes(i) ? 'full' : width);
    });
    const large = width === 'full' && node.inputs.some((name) => this.#isLarge(name));
    const outputs = node.outputs.map((name, i) => {
      if (!this.#isFloat(name)) return name;
      if (large) this.#large.add(name);
      const full = width === 'full' || FULL_OUTPUTS[node.op]?.includes(i);
      // An output of the graph is float32, so its name goes to the value behind the last Cast.
      const own = this.#outputs.has(name) && !full ? this.#fresh(`${name}/fp16`) : name;
      this.#define(name, full ? 'full' : 'half', own);
      return own;
    });
    this.#nodes.push({ ...node, inputs, outputs });
  }

  finish(): Graph {
    for (const { name, dtype } of this.#graph.outputs) {
      if (dtype !== 'float32' || this.#versions.get(`full ${name}`) === name) continue;
      if (this.#constants.has(name)) this.#read(name, 'full');
      else this.#cast(this.#read(name, 'half'), 'float32', name);
    }
    const { values: _, ...graph } = this.#graph;
    return inferShapes({ ...graph, params: [...this.#params.values()], nodes: this.#nodes });
  }

  /** float32 for what must be and what only touches float32 or constants; else float16. */
  #widthOf(node: Node): Width {
    if (KEEP.has(node.op) || this.#wide(node)) return 'full';
    if (node.outputs.some((o) => this.#angles.has(o))) return 'full';
    if (node.op === 'Cast') return node.attrs.to === codeOf('float32') ? 'full' : 'half';
    const widths = node.inputs
      .filter((name, i) => this.#isFloat(name) && !FULL_INPUTS[node.op]?.includes(i))
      .map((name) => this.#width.get(name));
    return widths.includes('half') || !widths.includes('full') ? 'half' : 'full';
  }

  #isFloat(name: string): boolean {
    return name !== '' && (this.#constants.has(name) || this.#dtypes.get(name)?.dtype === 'float32');
  }

  /** The name of a float value in the wanted width; a Cast is made on first use. */
  #read(name: string, width: Width): string {
    const known = this.#versions.get(`${width} ${name}`);
    if (known !== undefined) return known;
    const constant = this.#constants.get(name);
    let made: string;
    if (constant) {
      made = width === 'full' ? name : this.#fresh(`${name}/fp16`);
      const data = halved(clamped(constant.data as Float32Array));
      this.#params.set(
        made,
        width === 'full' ? constant : { ...constant, name: made, dtype: 'float16', data },
      );
    } else {
      let other = this.#versions.get(`${width === 'half' ? 'full' : 'half'} ${name}`)!;
      if (width === 'half' && this.#large.has(name)) other = this.#clip(other);
      made = this.#cast(other, width === 'half' ? 'float16' : 'float32', this.#fresh(`${name}/${width}`));
    }
    this.#versions.set(`${width} ${name}`, made);
    return made;
  }

  #define(name: string, width: Width, own: string): void {
    this.#width.set(name, width);
    this.#versions.set(`${width} ${name}`, own);
  }

  #cast(from: string, to: DType, output: string): string {
    const name = this.#fresh(`${output}/Cast`);
    this.#nodes.push({ op: 'Cast', name, inputs: [from], outputs: [output], attrs: { to: codeOf(to) } });
    return output;
  }

  #isLarge(name: string): boolean {
    const data = this.#constants.get(name)?.data as Float32Array | undefined;
    return this.#large.has(name) || Boolean(data?.some((v) => Math.abs(v) > HALF_MAX));
  }

  #clip(from: string): string {
    const output = this.#fresh(`${from}/clip`);
    const [min, max] = [-HALF_MAX, HALF_MAX];
    const bound = (value: number): string => {
      const name = this.#fresh(`${output}/bound`);
      this.#params.set(name, {
        name,
        dtype: 'float32',
        shape: [],
        role: 'constant',
        data: Float32Array.of(value),
      });
      return name;
    };
    // The bounds moved from attributes to inputs with opset 11.
    const asInputs = (this.#graph.opset[''] ?? 1) >= 11;
    const inputs = asInputs ? [from, bound(min), bound(max)] : [from];
    const attrs = asInputs ? {} : { min, max };
    this.#nodes.push({ op: 'Clip', name: this.#fresh(`${output}/Clip`), inputs, outputs: [output], attrs });
    return output;
  }

  #fresh(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.#names.has(name); i++) name = `${wanted}_${i}`;
    this.#names.add(name);
    return name;
  }
}

/**
 * Float values that lead to a sine or cosine: positions times frequencies. Half a unit in the last place of a float16
 * position is a different rotation, so all of them stay float32, even where a file passes its frequencies as a weight.
 */
function angles(graph: Graph, isFloat: (name: string) => boolean): Set<string> {
  const found = new Set<string>();
  for (const node of [...graph.nodes].reverse()) {
    const wanted = node.op === 'Sin' || node.op === 'Cos' || node.outputs.some((o) => found.has(o));
    if (wanted && node.op !== 'Cast') for (const i of node.inputs) if (isFloat(i)) found.add(i);
  }
  return found;
}

function isKind<K extends 'tensor' | 'graph'>(
  a: Attribute | undefined,
  kind: K,
): a is K extends 'tensor' ? TensorAttribute : Exclude<Attribute, TensorAttribute> {
  return typeof a === 'object' && 'kind' in a && a.kind === kind;
}

function clamped(data: Float32Array): Float32Array {
  return data.map((v) => (Number.isFinite(v) ? Math.min(Math.max(v, -HALF_MAX), HALF_MAX) : v));
}

/** float32 → float16 bits, rounded to nearest even. */
function halved(data: Float32Array): Uint16Array {
  return Uint16Array.from(data, toFloat16);
}
