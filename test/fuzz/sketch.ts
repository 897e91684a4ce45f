import { reasonOf } from '../../src/core/errors.ts';
import type { Attribute, Graph, Node, Param, ValueInfo } from '../../src/core/graph.ts';
import { type DType, elementCount, type Tensor, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { UNKNOWN_RANK } from '../../src/graph/dims.ts';
import { kernelOf } from '../../src/graph/kernels/index.ts';

/** A graph with what it is fed: one thing that backends can disagree on. */
export interface FuzzCase {
  readonly graph: Graph;
  readonly feeds: Tensors;
}

/** A value of a graph that is being made. Its contents are known, so that the next node can be one that is well conditioned. */
export interface Value {
  readonly name: string;
  readonly tensor: Tensor;
  /** Every backend has these very numbers: no rounding happened on the way, so rounding and ties are well defined. */
  readonly exact: boolean;
}

export interface EmitOptions {
  readonly outputs?: number;
  readonly domain?: string;
  /** Attributes that ONNX types as floats. */
  readonly floats?: readonly string[];
  /** Moves or compares numbers but makes no new ones that could be rounded. */
  readonly exact?: boolean;
  /** NaN, infinities and large numbers are what is tested. */
  readonly wild?: boolean;
}

/** Numbers beyond this would leave too few digits for what follows. */
const LARGE = 1e4;
const MOST_ELEMENTS = 600;

/** A graph made node by node, each computed at once by the reference kernels. */
export class Sketch {
  readonly opset: number;
  readonly values: Value[] = [];
  /** Why the reference could not compute the last node; nothing may follow then. */
  broken: string | null = null;
  readonly #inputs: ValueInfo[] = [];
  readonly #params: Param[] = [];
  readonly #nodes: Node[] = [];
  readonly #feeds: Tensors = {};
  readonly #declared: ValueInfo[] = [];

  constructor(opset: number) {
    this.opset = opset;
  }

  get size(): number {
    return this.#nodes.length;
  }

  /** @param wild it is for one operator alone, and no later one may take it */
  input(tensor: Tensor, wild = false): Value {
    const value = { name: `x${this.#inputs.length}`, tensor, exact: true };
    this.#inputs.push({ name: value.name, dtype: tensor.dtype, shape: tensor.shape });
    this.#feeds[value.name] = tensor;
    if (!wild) this.values.push(value);
    return value;
  }

  constant(tensor: Tensor): Value {
    const value = { name: `c${this.#params.length}`, tensor, exact: true };
    this.#params.push({ name: value.name, ...tensor, role: 'constant' });
    return value;
  }

  /**
   * Adds a node and gives its values; none when its numbers are too large for comparing, or the reference failed
   * (then `broken` says why, and the node stays in the graph for others to show what they do).
   */
  emit(
    op: string,
    inputs: readonly (Value | null)[],
    attrs: Readonly<Record<string, Attribute>> = {},
    options: EmitOptions = {},
  ): Value[] {
    if (this.broken !== null) return [];
    const at = this.#nodes.length;
    const outputs = Array.from({ length: options.outputs ?? 1 }, (_, i) =>
      i === 0 ? `v${at}` : `v${at}_${i}`,
    );
    const node: Node = {
      ...{ op, name: `n${at}`, inputs: inputs.map((v) => v?.name ?? ''), outputs, attrs },
      ...(options.domain && { domain: options.domain }),
      ...(options.floats && { floats: options.floats }),
    };
    let tensors: Tensor[];
    try {
      const kernel = kernelOf(node);
      if (!kernel) throw new Error(`the interpreter lacks ${op}`);
      tensors = kernel({ node, opset: this.opset, inputs: inputs.map((v) => v?.tensor) });
    } catch (error) {
      this.#nodes.push(node);
      this.broken = reasonOf(error);
      for (const name of outputs)
        this.#declared.push({ name, dtype: inputs[0]?.tensor.dtype ?? 'float32', shape: [UNKNOWN_RANK] });
      return [];
    }
    const made = tensors.slice(0, outputs.length);
    if (!options.wild && made.some((t) => !isTame(t))) return [];
    this.#nodes.push(node);
    const inherited = inputs.every((v) => v === null || v.exact) && options.exact === true;
    const values = made.map((tensor, i) => ({
      name: outputs[i]!,
      tensor,
      exact: inherited || !tensor.dtype.includes('float'),
    }));
    for (const { name, tensor } of values)
      this.#declared.push({ name, dtype: tensor.dtype, shape: tensor.shape });
    if (!options.wild) this.values.push(...values);
    return values;
  }

  /** The graph; its outputs are the values that no node reads. */
  finish(): FuzzCase | null {
    if (this.#nodes.length === 0) return null;
    const values = Object.fromEntries(this.#declared.map((v) => [v.name, v]));
    const graph: Graph = {
      name: 'fuzz',
      opset: { '': this.opset, ...(this.#nodes.some((n) => n.domain) && { 'com.microsoft': 1 }) },
      inputs: this.#inputs,
      outputs: [],
      params: this.#params,
      nodes: this.#nodes,
      values,
    };
    const read = new Set(this.#nodes.flatMap((n) => n.inputs));
    const last = this.#declared.filter((v) => !read.has(v.name));
    return cutTo({ graph, feeds: this.#feeds }, last, this.#nodes);
  }
}

function cutTo({ graph, feeds }: FuzzCase, outputs: readonly ValueInfo[], nodes: readonly Node[]): FuzzCase {
  const read = new Set(nodes.flatMap((n) => n.inputs));
  const used = <T extends { name: string }>(list: readonly T[]) => list.filter((v) => read.has(v.name));
  const inputs = used(graph.inputs);
  return {
    graph: { ...graph, inputs, outputs, params: used(graph.params), nodes },
    feeds: Object.fromEntries(inputs.map((i) => [i.name, feeds[i.name]!])),
  };
}

/** The part of a case that one value needs, with that value as its output. Null for a value that is not declared. */
export function behind(test: FuzzCase, name: string): FuzzCase | null {
  const { nodes, values } = test.graph;
  const info = values?.[name];
  if (!info) return null;
  const needed = new Set([name]);
  const kept = nodes.toReversed().filter((node) => {
    if (!node.outputs.some((o) => needed.has(o))) return false;
    for (const i of node.inputs) needed.add(i);
    return true;
  });
  return cutTo(test, [info], kept.reverse());
}

function isTame(t: Tensor): boolean {
  if (elementCount(t.shape) > MOST_ELEMENTS) return false;
  return toNumbers(t).every((v) => Math.abs(v) <= LARGE);
}

export const isFloating = (dtype: DType): boolean => dtype.includes('float');
