import { VersusError } from '../core/errors.ts';
import type { Graph, Node, Param } from '../core/graph.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';
import { nodeCosts } from '../graph/cost.ts';
import { inferNode, typeOfParam } from '../graph/infer.ts';
import { kernelOf } from '../graph/kernels/index.ts';
import { store } from '../graph/kernels/kernel.ts';
import { smallValue } from '../graph/ops/create.ts';
import { bytesOf, type Type, typed } from '../graph/ops/entry.ts';
import { isUnchanged, sameType } from './unchanged.ts';
import { hasSubgraph, isOp, type Numbers, pinnedNames, tensorOf } from './view.ts';

/** A result larger than this is computed in every run. */
const MAX_BYTES = 64 * 2 ** 20;
/** So is one that is this many times its inputs, unless it is small: Range and Expand make much of little. */
const MAX_GROWTH = 4;
const SMALL_BYTES = 2 ** 20;

export interface FoldOptions {
  /** Bytes up to which a result is computed however small its inputs are; 1 MiB when left out. */
  readonly small?: number;
}
/** What all results together may take beyond their inputs: a file can have many small Expands. */
const MAX_GROWN = 128 * 2 ** 20;
/** The interpreter's kernels are slow: products of weights beyond this, all together, wait for the backend. */
const MAX_MACS = 2 ** 28;
/** Elements of shape arithmetic that are followed, as in `graph/infer.ts`. */
const MAX_FOLLOWED = 2 ** 20;
/** Numbers read from files are kept for the next node up to this size. */
const KEPT_BYTES = 2 ** 16;

/**
 * The graph with everything computed that is the same in every run.
 *
 * - What reads only constants becomes a parameter of role `constant` under the result's name, computed by the interpreter's
 *   kernels: chains over weights too (Transpose, Reshape, Cast, DequantizeLinear). Left alone are results above 64 MiB, or
 *   above 1 MiB and 4 times their inputs, products beyond 2^28 multiply–accumulates, and a large weight that others read
 *   as it is (a tied embedding), which would be stored twice.
 * - Arithmetic on shapes that follows from the sizes in the graph becomes constant, though it hangs on an input.
 * - What hands its input on (`isUnchanged`) goes, as do sums with zeros and, in a Concat, parts of no length.
 *
 * Results that are outputs of the graph, or that subgraphs read, stay nodes. A node that the kernels refuse stays, too.
 * Replaced nodes' inputs that nobody reads any more are left to `dropDead`.
 */
export async function foldConstants(
  graph: Graph,
  numbers: Numbers,
  { small = SMALL_BYTES }: FoldOptions = {},
): Promise<Graph> {
  const folder = new Folder(graph, numbers, small);
  for (const node of graph.nodes) await folder.visit(node);
  return folder.finish();
}

class Folder {
  readonly #graph: Graph;
  readonly #numbers: Numbers;
  readonly #small: number;
  readonly #opset: number;
  readonly #types = new Map<string, Type>();
  readonly #constants = new Map<string, Param>();
  readonly #kept = new Map<string, Tensor>();
  readonly #uses = new Map<string, number>();
  readonly #alias = new Map<string, string>();
  /** Values whose producer writes them under another name at last: those that only an output of the graph shows. */
  readonly #renamed = new Map<string, string>();
  readonly #pinned: ReadonlySet<string>;
  readonly #produced = new Set<string>();
  readonly #made = new Map<string, Param>();
  readonly #nodes: Node[] = [];
  #followed = 0;
  #grown = 0;
  #macs = 0;
  #unknown = 0;

  constructor(graph: Graph, numbers: Numbers, small: number) {
    this.#graph = graph;
    this.#numbers = numbers;
    this.#small = small;
    this.#opset = graph.opset[''] ?? graph.opset['ai.onnx'] ?? 17;
    this.#pinned = pinnedNames(graph);
    for (const param of graph.params) {
      this.#types.set(param.name, typeOfParam(param));
      if (!param.packed) this.#constants.set(param.name, param);
    }
    for (const { name, dtype, shape } of graph.inputs) {
      // One that is fed may be other numbers than its default.
      this.#constants.delete(name);
      if (shape[0] === '...') this.#types.delete(name);
      else this.#types.set(name, { dtype, shape });
    }
    for (const node of graph.nodes)
      for (const name of node.inputs) this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
  }

  async visit(original: Node): Promise<void> {
    const inputs = original.inputs.map((name) => this.#alias.get(name) ?? name);
    const aliased = inputs.some((name, i) => name !== original.inputs[i]);
    const node = this.#withoutEmpty(aliased ? { ...original, inputs } : original);
    const types = this.#infer(node);
    if (hasSubgraph(node)) return this.#keep(node);
    if (this.#removed(node, types)) return;
    if (node.outputs.some((o) => this.#pinned.has(o))) return this.#keep(node);
    const results = this.#known(node, types) ?? (await this.#computed(node, types));
    if (!results) return this.#keep(node);
    node.outputs.forEach((name, i) => {
      if (name !== '') this.#define(name, results[i]!);
    });
    for (const name of node.inputs) this.#release(name);
  }

  finish(): Graph {
    if (this.#made.size === 0 && this.#alias.size === 0 && this.#renamed.size === 0) return this.#graph;
    const rename = (name: string): string => this.#renamed.get(name) ?? name;
    const nodes =
      this.#renamed.size === 0
        ? this.#nodes
        : this.#nodes.map((n) => ({ ...n, inputs: n.inputs.map(rename), outputs: n.outputs.map(rename) }));
    return { ...this.#graph, params: [...this.#graph.params, ...this.#made.values()], nodes };
  }

  #keep(node: Node): void {
    this.#nodes.push(node);
    for (const o of node.outputs) this.#produced.add(o);
  }

  /** Types of the results, as far as they are known; remembered under their names. */
  #infer(node: Node): (Type | undefined)[] {
    const known = node.inputs.map((name) => (name === '' ? null : this.#types.get(name)));
    const options = {
      opset: this.#opset,
      strict: false,
      fresh: (hint: string) => `?${hint}${this.#unknown++}`,
    };
    const inferred = known.includes(undefined) ? null : inferNode(node, known as (Type | null)[], options);
    const declared = this.#graph.values;
    return node.outputs.map((name, i) => {
      const given = declared && Object.hasOwn(declared, name) ? declared[name] : undefined;
      let type: Type | undefined = inferred?.[i] ?? given;
      if (name === '' || !type) return undefined;
      this.#followed += type.value?.length ?? 0;
      if (this.#followed > MAX_FOLLOWED) type = { dtype: type.dtype, shape: type.shape };
      this.#types.set(name, type);
      return type;
    });
  }

  #removed(node: Node, types: readonly (Type | undefined)[]): boolean {
    const [from, to, ...others] = [node.inputs[0] ?? '', ...node.outputs] as [string, string, ...string[]];
    if (others.some((o) => o !== '' && (this.#uses.has(o) || this.#pinned.has(o)))) return false;
    const small = (i: number): readonly number[] | undefined => {
      const param = this.#constants.get(node.inputs[i] ?? '');
      return param?.data && smallValue(param.dtype, param.data);
    };
    const kept = this.#withoutZeros(node, types[0]);
    if (kept !== null) {
      if (this.#pinned.has(to)) return false;
      this.#release(node.inputs.find((name) => name !== kept)!);
      this.#forward(kept, to);
      return true;
    }
    if (from === '' || !isUnchanged(node, this.#types.get(from), types[0], small)) return false;
    if (!this.#pinned.has(to)) {
      this.#forward(from, to);
      return true;
    }
    // The value behind an output of the graph takes that name itself, where a node made it and it has no other name to keep.
    const free = this.#produced.has(from) && !this.#pinned.has(from) && !this.#renamed.has(from);
    if (!free) return false;
    this.#renamed.set(from, to);
    this.#forward(from, to);
    return true;
  }

  /** A Concat without its parts of no length: a cache that holds nothing yet. */
  #withoutEmpty(node: Node): Node {
    if (!isOp(node, 'Concat')) return node;
    const isEmpty = (name: string): boolean => {
      const shape = this.#types.get(name)?.shape ?? [];
      const axis = Number(node.attrs.axis ?? 0);
      return shape[axis < 0 ? axis + shape.length : axis] === 0;
    };
    const inputs = node.inputs.filter((name) => !isEmpty(name));
    if (inputs.length === node.inputs.length || inputs.length === 0) return node;
    for (const name of node.inputs) if (isEmpty(name)) this.#release(name);
    return { ...node, inputs };
  }

  /** The operand of a sum whose other one is all zeros, such as a mask that hides nothing; null for everything else. */
  #withoutZeros(node: Node, result: Type | undefined): string | null {
    const [a, b] = node.inputs;
    if (!isOp(node, 'Add') || !a || !b || a === b || !result) return null;
    for (const [kept, other] of [[a, b] as const, [b, a] as const]) {
      const type = this.#types.get(kept);
      if (!type || !sameType(type, result)) continue;
      const { data } = this.#constants.get(other) ?? {};
      if (data?.every((x: number | bigint) => Number(x) === 0)) return kept;
    }
    return null;
  }

  /** Results that follow from the sizes in the graph alone. */
  #known(node: Node, types: readonly (Type | undefined)[]): Tensor[] | null {
    if (isOp(node, 'Constant')) return null;
    const results = types.map((type, i) => {
      if (node.outputs[i] === '') return undefined;
      const { value, shape, dtype } = type ?? {};
      const sized = shape?.every((d) => typeof d === 'number');
      if (!dtype || !sized || !value?.every((d) => typeof d === 'number')) return null;
      return value.length === elementCount(shape as number[])
        ? store(dtype, shape as number[], Float64Array.from(value as number[]))
        : null;
    });
    return results.includes(null) ? null : (results as Tensor[]);
  }

  async #computed(node: Node, types: readonly (Type | undefined)[]): Promise<Tensor[] | null> {
    const kernel = kernelOf(node);
    const given = node.inputs.filter((name) => name !== '');
    const params = given.map((name) => this.#constants.get(name));
    if (!kernel || params.includes(undefined) || !this.#fits(node, params as Param[], types)) return null;
    const inputs: (Tensor | undefined)[] = [];
    for (const name of node.inputs) inputs.push(name === '' ? undefined : await this.#read(name));
    try {
      const results = kernel({ node, opset: this.#opset, inputs });
      return node.outputs.every((o, i) => o === '' || results[i]) ? results : null;
    } catch (error) {
      if (error instanceof VersusError || error instanceof TypeError || error instanceof RangeError)
        return null;
      throw error;
    }
  }

  /** Whether computing a node now is worth its memory and time. */
  #fits(node: Node, params: readonly Param[], types: readonly (Type | undefined)[]): boolean {
    if (isOp(node, 'Constant')) return true;
    const read = params.reduce((n, p) => n + bytesOf(p.dtype, p.shape), 0);
    // How many elements are not 0 is known only afterwards: at most all of them.
    const most = isOp(node, 'NonZero') ? 8 * elementCount(params[0]!.shape) * params[0]!.shape.length : null;
    let made = 0;
    for (const type of types) {
      if (!type) continue;
      if (!type.shape.every((d) => typeof d === 'number') && most === null) return false;
      made += most ?? bytesOf(type.dtype, type.shape as number[]);
    }
    if (types[0] === undefined || made > MAX_BYTES) return false;
    if (made > this.#small && made > MAX_GROWTH * read) return false;
    const shared = (p: Param): boolean =>
      bytesOf(p.dtype, p.shape) > SMALL_BYTES && this.#uses.get(p.name)! > 1;
    if (params.some(shared)) return false;
    const cost = nodeCosts({ ...this.#graph, nodes: [node] }, this.#types)[0];
    this.#macs += cost?.macs ?? 0;
    if (this.#macs > MAX_MACS) return false;
    this.#grown += Math.max(0, made - read);
    return this.#grown <= MAX_GROWN;
  }

  /** A step between constants goes when its last reader is folded, so that long chains don't pile up. */
  #release(name: string): void {
    const left = (this.#uses.get(name) ?? 0) - 1;
    this.#uses.set(name, left);
    if (left <= 0 && this.#made.delete(name)) this.#constants.delete(name);
  }

  #forward(from: string, to: string): void {
    this.#alias.set(to, from);
    this.#uses.set(from, (this.#uses.get(from) ?? 0) - 1 + (this.#uses.get(to) ?? 0));
  }

  async #read(name: string): Promise<Tensor> {
    const param = this.#constants.get(name)!;
    const kept = this.#kept.get(name);
    if (kept) return kept;
    const read = await tensorOf(param, this.#numbers);
    if (!param.data && bytesOf(param.dtype, param.shape) <= KEPT_BYTES) this.#kept.set(name, read);
    return read;
  }

  #define(name: string, { dtype, shape, data }: Tensor): void {
    const param: Param = { name, dtype, shape, role: 'constant', data };
    this.#made.set(name, param);
    this.#constants.set(name, param);
    this.#types.set(name, typed(dtype, shape, smallValue(dtype, data)));
  }
}
