import { VersusError } from '../core/errors.ts';
import type { Attribute, Graph, Init, Node, Param, ValueInfo } from '../core/graph.ts';
import { type DType, elementCount, float32, int64, type Tensor, tensor, toFloat16 } from '../core/tensor.ts';
import { inferTypes } from '../graph/infer.ts';
import type { Type } from '../graph/ops/entry.ts';
import type { LoraTarget } from './lora-targets.ts';
import { freshNames, isOp } from './view.ts';

type Attrs = Record<string, Attribute>;

/** Adds a node and gives the name of its result. */
type Add = (op: string, inputs: readonly string[], attrs?: Attrs, result?: string) => string;

/** Makes the nodes of a graph's adapters, and collects the parameters and inputs that they need. */
export class LoraNodes {
  readonly masks: ValueInfo[] = [];
  readonly #graph: Graph;
  readonly #dropout: number;
  readonly #types: ReadonlyMap<string, Type>;
  readonly #fresh: (wanted: string) => string;
  readonly #params = new Map<string, Param>();

  constructor(graph: Graph, dropout: number) {
    this.#graph = graph;
    this.#dropout = dropout;
    this.#types = inferTypes(graph, {}).types;
    this.#fresh = freshNames(graph);
  }

  get params(): Param[] {
    return [...this.#params.values()];
  }

  /** The node with its adapter behind it; the sum goes by the name of the node's result. */
  beside(node: Node, target: LoraTarget): Node[] {
    const nodes: Node[] = [];
    const add: Add = (op, inputs, attrs = {}, result) => {
      const name = this.#fresh(`${node.name || target.module}/lora/${op}`);
      const floats = 'alpha' in attrs ? { floats: ['alpha'] } : {};
      nodes.push({ op, name, inputs, outputs: [result ?? name], attrs, ...floats });
      return result ?? name;
    };
    const [y, ...others] = node.outputs as [string];
    const base = this.#fresh(`${y}/base`);
    if (target.kind === 'conv') this.#convolution(node, target, { add, base });
    else if (target.kind === 'embedding' && !isProduct(node)) this.#lookUp(node, target, { add, base });
    else this.#product(node, target, { add, base });
    return [{ ...node, outputs: [base, ...others] }, ...nodes];
  }

  /** y + s · (x Aᵀ) Bᵀ by rows: the second product adds onto y. Tied to an embedding, A is Bᵀ of it and B its Aᵀ. */
  #product(node: Node, target: LoraTarget, { add, base }: { add: Add; base: string }): void {
    if (!isProduct(node)) throw this.#cannot(node, target);
    const [x, y] = [node.inputs[0]!, node.outputs[0]!];
    const { alpha = 1, transA = 0 } = node.op === 'Gemm' ? node.attrs : {};
    const { dtype, shape } = this.#type(x);
    const [a, b] = this.#matrices(target, dtype);
    const scale = target.scale * Number(alpha);
    const tied = target.kind === 'embedding';
    const [from, to] = tied ? [target.to, target.from] : [target.from, target.to];
    const dropped = this.#drop(x, target, add);
    const rows = shape.length === 2 ? dropped : add('Reshape', [dropped, this.#ints([-1, from])]);
    const turned = transA === 1 ? { transA } : {};
    const down = tied ? add('Gemm', [rows, b], turned) : add('Gemm', [rows, a], { ...turned, transB: 1 });
    const up = { matrix: tied ? a : b, ...(tied ? {} : { transB: 1 }) };
    this.#onto(down, up, { scale, base, y, width: to }, add);
  }

  /** y + s · Aᵀ[ids] Bᵀ. */
  #lookUp(node: Node, target: LoraTarget, { add, base }: { add: Add; base: string }): void {
    const packed = node.op === 'GatherBlockQuantized';
    if ((!isOp(node, 'Gather') && !packed) || Number(node.attrs.axis ?? node.attrs.gather_axis ?? 0) !== 0)
      throw this.#cannot(node, target);
    const y = node.outputs[0]!;
    const { dtype } = this.#type(y);
    const [a, b] = this.#matrices(target, dtype);
    const found = add('Gather', [add('Transpose', [a], { perm: [1, 0] }), node.inputs[1]!]);
    const rows = add('Reshape', [found, this.#ints([-1, target.a[0]!])]);
    this.#onto(rows, { matrix: b, transB: 1 }, { scale: target.scale, base, y, width: target.to }, add);
  }

  /** y + (s · B) ∗ (A ∗ x), where A has the window of the layer and B is 1 × 1 in its groups. */
  #convolution(node: Node, target: LoraTarget, { add, base }: { add: Add; base: string }): void {
    if (!isOp(node, 'Conv')) throw this.#cannot(node, target);
    const [x, y] = [node.inputs[0]!, node.outputs[0]!];
    const { dtype } = this.#type(x);
    const [a, b] = this.#matrices(target, dtype);
    const { group: _, ...window } = node.attrs;
    const down = add('Conv', [this.#drop(x, target, add), a], window);
    const up = target.scale === 1 ? b : add('Mul', [b, this.#number(target.scale, dtype)]);
    add('Add', [base, add('Conv', [down, up], target.groups === 1 ? {} : { group: target.groups })], {}, y);
  }

  /** base + scale · rows · matrix (or its transpose), for a base of any rank. */
  #onto(
    rows: string,
    { matrix, ...turned }: { matrix: string; transB?: number },
    { scale, base, y, width }: { scale: number; base: string; y: string; width: number },
    add: Add,
  ): void {
    const { shape } = this.#type(y);
    const attrs = { alpha: scale, ...turned };
    if (shape.length === 2) {
      add('Gemm', [rows, matrix, base], attrs, y);
      return;
    }
    const sum = add('Gemm', [rows, matrix, add('Reshape', [base, this.#ints([-1, width])])], attrs);
    const sizes = shape.every((d) => typeof d === 'number')
      ? this.#ints(shape as number[])
      : add('Shape', [base]);
    add('Reshape', [sum, sizes], {}, y);
  }

  #drop(x: string, target: LoraTarget, add: Add): string {
    if (this.#dropout === 0) return x;
    const { dtype, shape } = this.#type(x);
    const name = this.#fresh(`${target.module}.lora_dropout`);
    this.masks.push({ name, dtype, shape });
    return add('Mul', [x, name]);
  }

  /** A and B as parameters of the graph. */
  #matrices({ module, names, a, b, kind }: LoraTarget, dtype: DType): [string, string] {
    if (this.#graph.params.some((p) => p.name === names.a || p.name === names.b)) {
      throw new VersusError('usage', `${module} has an adapter already`, {
        where: `graph ${this.#graph.name}`,
      });
    }
    const inside = 1 / Math.sqrt(3 * elementCount(a.slice(1)));
    const [first, second]: [Init, Init] =
      kind === 'embedding' ? [ZERO, { kind: 'uniform', std: 1 }] : [{ kind: 'uniform', std: inside }, ZERO];
    this.#params.set(names.a, { name: names.a, dtype, shape: a, role: 'weight', init: first });
    this.#params.set(names.b, { name: names.b, dtype, shape: b, role: 'weight', init: second });
    return [names.a, names.b];
  }

  #ints(values: readonly number[]): string {
    return this.#constant(`lora/ints/${values.join('_')}`, int64([values.length], values));
  }

  #number(value: number, dtype: DType): string {
    const half = dtype === 'float16';
    const t = half ? tensor(dtype, [], Uint16Array.of(toFloat16(value))) : float32([], [value]);
    return this.#constant(`lora/scale/${dtype}/${value}`, t);
  }

  #constant(key: string, { dtype, shape, data }: Tensor): string {
    const known = this.#params.get(key);
    if (known) return known.name;
    const name = this.#fresh(key);
    this.#params.set(key, { name, dtype, shape, role: 'constant', data });
    return name;
  }

  #type(name: string): Type {
    const type = this.#types.get(name);
    if (type && (type.dtype === 'float32' || type.dtype === 'float16')) return type;
    throw new VersusError(
      'unsupported',
      `LoRA needs ${name} to be float32 or float16, it is ${type?.dtype ?? 'unknown'}`,
      {
        where: `graph ${this.#graph.name}`,
      },
    );
  }

  #cannot(node: Node, { module }: LoraTarget): VersusError {
    return new VersusError('unsupported', `LoRA cannot stand beside ${node.op}`, {
      where: `graph ${this.#graph.name}, node ${node.name || '(unnamed)'}`,
      next: `leave ${module} out of the targets`,
    });
  }
}

const ZERO: Init = { kind: 'constant', value: 0 };

const isProduct = (node: Node): boolean => isOp(node, 'Gemm', 'MatMul') || node.op === 'MatMulNBits';
