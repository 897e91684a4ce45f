import { VersusError } from '../core/errors.ts';
import type { Attribute, Dim, Graph, Init, Node, Packed, Param, Shape, ValueInfo } from '../core/graph.ts';
import { type DType, int64, type Tensor } from '../core/tensor.ts';
import { assemble } from './assemble.ts';
import { contentKey, scalarTensor } from './constants.ts';
import { productOf, sameDim, showShape } from './dims.ts';
import { type Attributes, Operators, type Value } from './fluent.ts';
import { holderOf } from './holder.ts';
import { inferNode, typeOfParam } from './infer.ts';
import type { Type } from './ops/entry.ts';
import { operatorOf } from './ops/index.ts';
import { reshapeTo, runsOf } from './reshaping.ts';

export type { Value } from './fluent.ts';

/**
 * Builds a `Graph` node by node; every method checks types and shapes at once, so that a mistake is reported where it is
 * made. Methods for the usual operators come from `Operators`.
 *
 * A `Value` belongs to the builder that made it. Nodes are named after the scope and the operator
 * (`encoder/layers.0/MatMul`, `…/MatMul_1`); a value has the name of its node, `.1` and so on for further outputs.
 *
 * @throws VersusError `input` from every method: names the operator, the node and the shapes
 */
export class GraphBuilder extends Operators {
  readonly name: string;
  readonly opset: number;
  readonly #inputs: ValueInfo[] = [];
  readonly #params = new Map<string, Param>();
  readonly #outputs: { name: string; value: Value }[] = [];
  readonly #nodes: Node[] = [];
  readonly #types = new Map<string, Type>();
  readonly #names = new Map<string, number>();
  readonly #constants = new Map<string, Value>();
  readonly #dims = new Map<string, Value>();
  #prefix = '';
  #unknown = 0;
  #continued: Graph | undefined;

  /** @param options.opset version of the standard operators, 13 to 21; 17 when left out */
  constructor(name: string, options: { opset?: number } = {}) {
    super();
    this.name = name;
    this.opset = options.opset ?? 17;
    if (!(this.opset >= 13 && this.opset <= 21)) this.#fail(`opset ${this.opset} is not between 13 and 21`);
  }

  /**
   * A builder that goes on where a graph ends: its inputs, parameters, nodes and outputs are there under their names, and
   * further ones are added. `build` then lets nodes stand that contribute to no output.
   *
   * @param types types of the graph's values, as `inferTypes` gives them; a value without one cannot be read
   */
  static over(graph: Graph, types: ReadonlyMap<string, Type>): GraphBuilder {
    const opset = graph.opset[''] ?? graph.opset['ai.onnx'] ?? 17;
    const g = new GraphBuilder(graph.name, { opset });
    g.#continued = graph;
    g.#inputs.push(...graph.inputs);
    g.#nodes.push(...graph.nodes);
    for (const param of graph.params) g.#params.set(param.name, param);
    for (const [name, type] of types) g.#types.set(name, type);
    const named = [...graph.inputs, ...graph.params].map((v) => v.name);
    for (const name of [...named, ...graph.nodes.flatMap((n) => [n.name, ...n.outputs])])
      g.#names.set(name, 1);
    for (const { name } of graph.outputs) g.#outputs.push({ name, value: g.value(name) });
    return g;
  }

  /** The nodes so far. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** A value by its name. @throws VersusError `input` for a name without a known type */
  value(name: string): Value {
    const type = this.#types.get(name) ?? this.#fail(`the type of value ${name} is not known`);
    return { name, ...type };
  }

  /** The elements of a small whole-number value that follow from sizes and constants; undefined where they don't. */
  known(value: Value): readonly number[] | undefined {
    const elements = this.#types.get(value.name)?.value;
    return elements?.every((d) => typeof d === 'number') ? (elements as readonly number[]) : undefined;
  }

  /** An input of the graph. Symbolic dimensions are strings: `['batch', 3, 224, 224]`, `['batch', 'past+sequence']`. */
  input(name: string, dtype: DType, shape: Shape): Value {
    this.#claim(name);
    this.#inputs.push({ name, dtype, shape });
    return this.#value(name, { dtype, shape });
  }

  /**
   * A weight (or buffer) under its checkpoint name. The same name and shape again gives the same value (tied weights).
   * @param init how seeded numbers are drawn; a uniform of standard deviation 0.02 when left out
   */
  param(
    name: string,
    shape: readonly number[],
    init: Init = { kind: 'uniform', std: 0.02 },
    options: { role?: 'weight' | 'buffer'; dtype?: DType; packed?: Packed } = {},
  ): Value {
    const dtype = options.dtype ?? 'float32';
    const known = this.#params.get(name);
    if (known) {
      if (known.dtype !== dtype || known.shape.join() !== shape.join()) {
        this.#fail(
          `parameter ${name} is ${known.dtype}${showShape(known.shape)} already, not ${dtype}${showShape(shape)}`,
        );
      }
      return { name, dtype, shape: known.shape };
    }
    if (!shape.every((d) => Number.isSafeInteger(d) && d > 0))
      this.#fail(`parameter ${name}: ${showShape(shape)}`);
    this.#claim(name);
    const { role = 'weight', packed } = options;
    this.#params.set(name, { name, dtype, shape, role, init, ...(packed && { packed }) });
    return this.#value(name, { dtype, shape });
  }

  /** A tensor that belongs to the program. Equal contents are stored once, under the first hint. */
  constant(t: Tensor, hint = 'constant'): Value {
    const key = contentKey(t);
    const known = this.#constants.get(key);
    if (known) return known;
    const name = this.#unique(`const/${hint}`);
    const param: Param = { name, dtype: t.dtype, shape: t.shape, role: 'constant', data: t.data };
    this.#params.set(name, param);
    const value = this.#value(name, typeOfParam(param));
    this.#constants.set(key, value);
    return value;
  }

  /** An int64 vector. */
  ints(values: readonly number[]): Value {
    return this.constant(int64([values.length], values), 'ints');
  }

  /** A scalar constant; float32 unless said otherwise. */
  scalar(value: number, dtype: DType = 'float32'): Value {
    return this.constant(scalarTensor(value, dtype), 'scalar');
  }

  /**
   * One node. Every other method goes through it.
   * @param inputs null for an optional input that is left out
   * @param attrs ONNX attributes; undefined ones are dropped
   */
  op(
    op: string,
    inputs: readonly (Value | null)[],
    attrs: Attributes = {},
    options: { outputs?: number; domain?: string } = {},
  ): Value[] {
    const name = this.#unique(this.#prefix + op);
    const { domain = '', outputs: count = 1 } = options;
    const entry = operatorOf({ op, domain });
    if (!entry) this.#fail(`operator ${op} is not in the operator table`, name);
    if (domain === '' && entry.since > this.opset)
      this.#fail(`${op} needs opset ${entry.since}, this graph has ${this.opset}`, name);
    const outputs = Array.from({ length: count }, (_, i) => (i === 0 ? name : `${name}.${i}`));
    const types = inputs.map((v) => (v === null ? null : this.#typeOf(v, name)));
    const set = Object.entries(attrs).filter((a): a is [string, Attribute] => a[1] !== undefined);
    const floats = entry.floats?.filter((f) => attrs[f] !== undefined) ?? [];
    const node: Node = {
      op,
      ...(domain !== '' && { domain }),
      name,
      inputs: inputs.map((v) => v?.name ?? ''),
      outputs,
      attrs: Object.fromEntries(set),
      ...(floats.length > 0 && { floats }),
    };
    const inferred = inferNode(node, types, this.#inference);
    this.#nodes.push(node);
    return outputs.map((output, i) => this.#value(output, inferred![i]!));
  }

  /** A result of a node that is there already; an optional one that it leaves out so far becomes an output of it. */
  result(node: Node, output: number): Value {
    const at = this.#nodes.findIndex((n) => n.outputs[0] === node.outputs[0]);
    const there = this.#nodes[at] ?? this.#fail('another builder has the node', node.name);
    if (there.outputs[output]) return this.value(there.outputs[output]);
    const name = this.#unique(`${node.outputs[0]}.${output}`);
    const length = Math.max(output + 1, there.outputs.length);
    const outputs = Array.from({ length }, (_, i) => (i === output ? name : (there.outputs[i] ?? '')));
    const types = there.inputs.map((input) => (input === '' ? null : this.value(input)));
    const inferred = inferNode({ ...there, outputs }, types, this.#inference);
    const type = inferred?.[output] ?? this.#fail(`the type of result ${output} is not known`, node.name);
    this.#nodes[at] = { ...there, outputs };
    return this.#value(name, type);
  }

  /**
   * A symbolic dimension at run time, as int64 [1]: taken from the first input, else the first value made so far, that has
   * exactly this dimension, else from an input that has a whole multiple of it. Built once per name.
   */
  dim(name: string): Value {
    const known = this.#dims.get(name);
    if (known) return known;
    const found = holderOf(name, this.#inputs, this.#types);
    if (!found) return this.#fail(`no input has a dimension ${name}, nor has a value`);
    const outer = this.#prefix;
    this.#prefix = `dim/${name}/`;
    const size = this.gather(this.shapeOf(found.source), this.ints([found.at]), 0);
    const value = found.times === 1 ? size : this.div(size, this.ints([found.times]));
    this.#prefix = outer;
    this.#dims.set(name, value);
    return value;
  }

  /** An int64 vector of dimensions; symbolic ones are read from the inputs at run time. */
  dims(dims: readonly Dim[]): Value {
    if (dims.every((d) => typeof d === 'number')) return this.ints(dims as number[]);
    const parts = runsOf(dims).map((run) => (typeof run === 'string' ? this.dim(run) : this.ints(run)));
    return parts.length === 1 ? parts[0]! : this.concat(parts, 0);
  }

  /**
   * `x` with another shape of as many elements; the result has the dimensions as given here. At run time a symbolic
   * dimension that stays in its place is copied (0), one other is left open (-1), and any further ones come from `dim`.
   */
  reshape(x: Value, dims: readonly Dim[]): Value {
    const before = productOf(x.shape);
    const after = productOf(dims);
    if (!sameDim(before, after))
      this.#fail(`Reshape: ${showShape(x.shape)} has not as many elements as ${showShape(dims)}`);
    const [out] = this.op('Reshape', [x, this.dims(reshapeTo(x.shape, dims))]);
    this.#types.set(out!.name, { dtype: x.dtype, shape: dims });
    return { name: out!.name, dtype: x.dtype, shape: dims };
  }

  /** Runs `body` with `name/` before the names of the nodes that it makes. Scopes nest. */
  scope<T>(name: string, body: () => T, outer = this.#prefix): T {
    this.#prefix = `${outer}${name}/`;
    try {
      return body();
    } finally {
      this.#prefix = outer;
    }
  }

  /** Declares an output. The value's producer takes the output's name. */
  output(name: string, value: Value): void {
    this.#typeOf(value, `output ${name}`);
    const given = this.#params.has(value.name) || this.#inputs.some((i) => i.name === value.name);
    const taken = this.#outputs.some((o) => o.value.name === value.name);
    const source = !given && !taken ? value : this.identity(value);
    this.#claim(name, source.name);
    this.#outputs.push({ name, value: source });
  }

  /**
   * The graph, validated.
   * @throws VersusError `input` when a node or a weight contributes to no output: it would be measured, or loaded, for nothing
   */
  build(): Graph {
    return assemble({
      name: this.name,
      opset: { ...this.#continued?.opset, '': this.opset },
      inputs: this.#inputs,
      params: [...this.#params.values()],
      nodes: this.#nodes,
      outputs: this.#outputs,
      types: this.#types,
      whole: this.#continued === undefined,
    });
  }

  get #inference(): { opset: number; strict: boolean; fresh: (hint: string) => string } {
    return { opset: this.opset, strict: true, fresh: (hint) => `?${hint}${this.#unknown++}` };
  }

  #value(name: string, type: Type): Value {
    this.#types.set(name, type);
    return { name, dtype: type.dtype, shape: type.shape };
  }

  #typeOf(value: Value, node: string): Type {
    const type = this.#types.get(value.name);
    return type ?? this.#fail(`value ${value.name} belongs to another builder`, node);
  }

  #claim(name: string, renamed?: string): void {
    if (name === '') this.#fail('a name is empty');
    if (name !== renamed && this.#types.has(name)) this.#fail(`the name ${name} is taken`);
    this.#names.set(name, 1);
  }

  #unique(name: string): string {
    const count = this.#names.get(name) ?? 0;
    this.#names.set(name, count + 1);
    return count === 0 ? name : this.#unique(`${name}_${count}`);
  }

  #fail(problem: string, node?: string): never {
    throw new VersusError('input', problem, { where: `graph ${this.name}${node ? `, node ${node}` : ''}` });
  }
}
