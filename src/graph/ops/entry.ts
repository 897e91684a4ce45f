import { VersusError } from '../../core/errors.ts';
import type { Attribute, Dim, Node, Shape, TensorAttribute } from '../../core/graph.ts';
import type { DType } from '../../core/tensor.ts';
import { bytesPerElement } from '../../core/tensor.ts';
import { sameDim, showShape } from '../dims.ts';

/**
 * What is known of a value before the graph runs. `value` holds the elements of a small tensor whose contents follow
 * from shapes and constants, in row-major order; its elements may be symbolic (`Shape` of `[batch, 3]` is `['batch', 3]`).
 */
export interface Type {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly value?: readonly Dim[];
}

/** A tensor with more elements than this is data, not shape arithmetic: its contents are not followed. */
export const MAX_FOLDED = 1024;

/**
 * One operator of the table.
 * A transform that needs a rule per operator (the gradient) adds its column in a table of its own with the same keys.
 */
export interface OpEntry {
  /** Fewest and most inputs. */
  readonly inputs: readonly [number, number];
  /** Most outputs; 1 when left out. */
  readonly outputs?: number;
  /** First version of the standard operator set that has it. */
  readonly since: number;
  /** Attributes that ONNX types as FLOAT or FLOATS. */
  readonly floats?: readonly string[];
  /** Types of the outputs. Throws VersusError `input` through `OpContext.fail` when the inputs don't fit. */
  readonly infer: (c: OpContext) => readonly Type[];
  /** Multiply–accumulates; 0 when left out. */
  readonly macs?: (c: CostContext) => number;
  /**
   * Bytes that must move between memory and the processor when nothing is fused: inputs + outputs when left out,
   * `view`: none, the data stays where it is; `output`: reads as much as it writes (slices, gathers).
   */
  readonly bytes?: 'view' | 'output';
}

export type OpTable = Readonly<Record<string, OpEntry>>;

/** Sizes that a cost rule sees: all dimensions are numbers. */
export interface CostContext {
  readonly node: Node;
  /** Shape of an input; [] when it is left out. */
  input(i: number): readonly number[];
  output(i: number): readonly number[];
}

/** What a shape rule sees: the node, its input types, and typed access to attributes. */
export class OpContext {
  readonly node: Node;
  readonly opset: number;
  readonly #inputs: readonly (Type | null)[];
  readonly #fresh: (hint: string) => string;
  /** A number against an unrelated symbol is an error: true while building, false for foreign files, which may be right. */
  readonly strict: boolean;

  constructor(
    node: Node,
    inputs: readonly (Type | null)[],
    options: { opset: number; strict: boolean; fresh: (hint: string) => string },
  ) {
    this.node = node;
    this.#inputs = inputs;
    this.opset = options.opset;
    this.strict = options.strict;
    this.#fresh = options.fresh;
  }

  /** A name for a dimension that is known only when the graph runs. */
  fresh(hint: string): string {
    return this.#fresh(hint);
  }

  get count(): number {
    return this.#inputs.length;
  }

  has(i: number): boolean {
    return Boolean(this.#inputs[i]);
  }

  in(i: number): Type {
    return this.#inputs[i] ?? this.fail(`input ${i} is missing`);
  }

  shape(i: number): Shape {
    return this.in(i).shape;
  }

  /** Elements of a small integer input when they are known. */
  value(i: number): readonly Dim[] | undefined {
    return this.#inputs[i]?.value;
  }

  /** Elements of an input that must be plain numbers, or undefined when they are not known. */
  numbers(i: number): readonly number[] | undefined {
    const value = this.value(i);
    return value?.every((d) => typeof d === 'number') ? (value as readonly number[]) : undefined;
  }

  int(name: string, otherwise: number): number {
    const a = this.node.attrs[name];
    if (a === undefined) return otherwise;
    return typeof a === 'number' && Number.isInteger(a)
      ? a
      : this.fail(`attribute ${name} is not a whole number`);
  }

  float(name: string, otherwise: number): number {
    const a = this.node.attrs[name];
    if (a === undefined) return otherwise;
    return typeof a === 'number' ? a : this.fail(`attribute ${name} is not a number`);
  }

  ints(name: string): readonly number[] | undefined {
    const a = this.node.attrs[name];
    if (a === undefined) return undefined;
    if (Array.isArray(a) && a.every((x) => Number.isInteger(x))) return a as readonly number[];
    return this.fail(`attribute ${name} is not a list of whole numbers`);
  }

  text(name: string, otherwise: string): string {
    const a = this.node.attrs[name];
    if (a === undefined) return otherwise;
    return typeof a === 'string' ? a : this.fail(`attribute ${name} is not a string`);
  }

  tensor(name: string): TensorAttribute | undefined {
    const a = this.node.attrs[name];
    if (a === undefined) return undefined;
    return isTensor(a) ? a : this.fail(`attribute ${name} is not a tensor`);
  }

  /** An axis of a tensor of `rank` dimensions, counted from the end when negative. */
  axis(axis: number, rank: number): number {
    if (!(axis >= -rank && axis < rank)) this.fail(`axis ${axis} is outside rank ${rank}`);
    return axis < 0 ? axis + rank : axis;
  }

  /** Axes that are distinct and inside `rank`, ascending. */
  axes(axes: readonly number[], rank: number): readonly number[] {
    const out = axes.map((a) => this.axis(a, rank)).sort((a, b) => a - b);
    if (new Set(out).size !== out.length) this.fail(`axes ${showShape(axes)} name a dimension twice`);
    return out;
  }

  rank(i: number, at: number | readonly [number, number]): Shape {
    const shape = this.shape(i);
    const [low, high] = typeof at === 'number' ? [at, at] : at;
    if (shape.length < low || shape.length > high) {
      this.fail(`input ${i} must have rank ${low === high ? low : `${low} to ${high}`}`);
    }
    return shape;
  }

  /** One dimension out of two that must be equal. */
  same(a: Dim, b: Dim, what: string): Dim {
    if (sameDim(a, b)) return a;
    if ((typeof a === 'number' && typeof b === 'number') || this.strict)
      this.fail(`${what}: ${a} against ${b}`);
    return typeof a === 'number' ? a : b;
  }

  sameTypes(...indices: number[]): DType {
    const dtype = this.in(indices[0]!).dtype;
    for (const i of indices) {
      if (this.has(i) && this.in(i).dtype !== dtype)
        this.fail(`inputs of type ${dtype} and ${this.in(i).dtype} don't mix`);
    }
    return dtype;
  }

  /** Throws VersusError `input` that names the operator, the node and all input shapes. */
  fail(problem: string): never {
    const inputs = this.#inputs.map((t) => (t ? `${t.dtype}${showShape(t.shape)}` : '–')).join(', ');
    throw new VersusError('input', `${this.node.op}: ${problem} (inputs ${inputs || 'none'})`, {
      where: `node ${this.node.name || '(unnamed)'}`,
    });
  }
}

function isTensor(a: Attribute): a is TensorAttribute {
  return typeof a === 'object' && 'kind' in a && a.kind === 'tensor';
}

/** Types whose arithmetic can be followed exactly with numbers; others wrap around or round coarsely. */
const FOLLOWED: readonly DType[] = ['int64', 'int32', 'bool', 'float32', 'float64'];

/** A type whose contents are followed when they are known, few, and of a type in which that is exact. */
export function typed(dtype: DType, shape: Shape, value?: readonly Dim[] | undefined): Type {
  if (!value || value.length > MAX_FOLDED || !FOLLOWED.includes(dtype)) return { dtype, shape };
  const rounded =
    dtype === 'float32' ? value.map((d) => (typeof d === 'number' ? Math.fround(d) : d)) : value;
  return { dtype, shape, value: rounded };
}

/** Bytes of a tensor whose dimensions are all known. */
export function bytesOf(dtype: DType, shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, bytesPerElement(dtype));
}
