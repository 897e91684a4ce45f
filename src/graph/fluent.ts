import type { Attribute, Shape } from '../core/graph.ts';
import type { DType } from '../core/tensor.ts';
import { codeOf } from './dtypes.ts';

/** A value of the graph under construction. `shape` holds numbers and the names of symbolic dimensions. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** A value, or a number that becomes a scalar constant of the other operand's type. */
export type Operand = Value | number;
export type Attributes = Readonly<Record<string, Attribute | undefined>>;

export interface WindowOptions {
  readonly strides?: readonly number[];
  /** Begin of every spatial dimension, then end of every one. */
  readonly pads?: readonly number[];
  readonly dilations?: readonly number[];
}

/**
 * The usual operators as methods, one ONNX node each unless said otherwise; whatever is missing goes through `op`.
 * Axes count from the end when negative. Binary methods broadcast as NumPy does.
 */
export abstract class Operators {
  abstract readonly opset: number;
  abstract op(
    op: string,
    inputs: readonly (Value | null)[],
    attrs?: Attributes,
    options?: { outputs?: number; domain?: string },
  ): Value[];
  abstract ints(values: readonly number[]): Value;
  abstract scalar(value: number, dtype?: DType): Value;

  #one(op: string, inputs: readonly (Value | null)[], attrs: Attributes = {}): Value {
    return this.op(op, inputs, attrs)[0]!;
  }

  #two(op: string, a: Operand, b: Operand): Value {
    if (typeof a !== 'number') return this.#one(op, [a, typeof b === 'number' ? this.scalar(b, a.dtype) : b]);
    return this.#one(op, [
      this.scalar(a, typeof b === 'number' ? 'float32' : b.dtype),
      typeof b === 'number' ? this.scalar(b) : b,
    ]);
  }

  /** Axes as an attribute, or as an input from the opset on in which the operator takes them so. */
  #axes(
    op: string,
    x: Value,
    axes: readonly number[] | undefined,
    inputSince: number,
    attrs: Attributes = {},
  ): Value {
    if (!axes) return this.#one(op, [x], attrs);
    return this.opset < inputSince
      ? this.#one(op, [x], { ...attrs, axes })
      : this.#one(op, [x, this.ints(axes)], attrs);
  }

  add = (a: Operand, b: Operand): Value => this.#two('Add', a, b);
  sub = (a: Operand, b: Operand): Value => this.#two('Sub', a, b);
  mul = (a: Operand, b: Operand): Value => this.#two('Mul', a, b);
  div = (a: Operand, b: Operand): Value => this.#two('Div', a, b);
  pow = (a: Operand, b: Operand): Value => this.#two('Pow', a, b);
  minimum = (a: Operand, b: Operand): Value => this.#two('Min', a, b);
  maximum = (a: Operand, b: Operand): Value => this.#two('Max', a, b);
  /** bool */
  equal = (a: Operand, b: Operand): Value => this.#two('Equal', a, b);
  /** bool: a > b */
  greater = (a: Operand, b: Operand): Value => this.#two('Greater', a, b);
  /** bool: a ≥ b */
  greaterOrEqual = (a: Operand, b: Operand): Value => this.#two('GreaterOrEqual', a, b);
  /** bool: a < b */
  less = (a: Operand, b: Operand): Value => this.#two('Less', a, b);
  /** bool: a ≤ b */
  lessOrEqual = (a: Operand, b: Operand): Value => this.#two('LessOrEqual', a, b);
  and = (a: Value, b: Value): Value => this.#one('And', [a, b]);
  or = (a: Value, b: Value): Value => this.#one('Or', [a, b]);
  not = (x: Value): Value => this.#one('Not', [x]);
  /** Elements of `a` where the bool `condition` holds, else of `b`. */
  where(condition: Value, a: Operand, b: Operand): Value {
    const dtype = typeof a !== 'number' ? a.dtype : typeof b !== 'number' ? b.dtype : 'float32';
    const [x, y] = [a, b].map((v) => (typeof v === 'number' ? this.scalar(v, dtype) : v));
    return this.#one('Where', [condition, x!, y!]);
  }

  neg = (x: Value): Value => this.#one('Neg', [x]);
  abs = (x: Value): Value => this.#one('Abs', [x]);
  exp = (x: Value): Value => this.#one('Exp', [x]);
  log = (x: Value): Value => this.#one('Log', [x]);
  sqrt = (x: Value): Value => this.#one('Sqrt', [x]);
  reciprocal = (x: Value): Value => this.#one('Reciprocal', [x]);
  sin = (x: Value): Value => this.#one('Sin', [x]);
  cos = (x: Value): Value => this.#one('Cos', [x]);
  floor = (x: Value): Value => this.#one('Floor', [x]);
  erf = (x: Value): Value => this.#one('Erf', [x]);
  tanh = (x: Value): Value => this.#one('Tanh', [x]);
  sigmoid = (x: Value): Value => this.#one('Sigmoid', [x]);
  relu = (x: Value): Value => this.#one('Relu', [x]);
  identity = (x: Value): Value => this.#one('Identity', [x]);
  /** x · Φ(x) = x · (1 + erf(x / √2)) / 2 (Hendrycks and Gimpel, 2016), in the five nodes that onnxruntime fuses. */
  gelu(x: Value): Value {
    const shifted = this.add(this.erf(this.div(x, Math.SQRT2)), 1);
    return this.mul(this.mul(x, shifted), 0.5);
  }
  /** x · σ(x), also called swish: two nodes. */
  silu = (x: Value): Value => this.mul(x, this.sigmoid(x));
  cast = (x: Value, to: DType): Value => this.#one('Cast', [x], { to: codeOf(to) });

  matmul = (a: Value, b: Value): Value => this.#one('MatMul', [a, b]);
  /** alpha · a' · b' + beta · bias over rank-2 operands; `transB` takes a [out, in] weight as checkpoints store it. */
  gemm(
    a: Value,
    b: Value,
    bias: Value | null = null,
    attrs: { alpha?: number; beta?: number; transA?: 0 | 1; transB?: 0 | 1 } = {},
  ): Value {
    return this.#one('Gemm', bias ? [a, b, bias] : [a, b], attrs);
  }
  /** x [N, C, …spatial], weight [M, C / group, …kernel], bias [M]. */
  conv(
    x: Value,
    weight: Value,
    bias: Value | null = null,
    options: WindowOptions & { group?: number } = {},
  ): Value {
    const attrs = { kernel_shape: weight.shape.slice(2) as number[], ...options };
    return this.#one('Conv', bias ? [x, weight, bias] : [x, weight], attrs);
  }
  maxPool(x: Value, kernel: readonly number[], options: WindowOptions & { ceil_mode?: 0 | 1 } = {}): Value {
    return this.#one('MaxPool', [x], { kernel_shape: kernel, ...options });
  }
  averagePool(
    x: Value,
    kernel: readonly number[],
    options: WindowOptions & { ceil_mode?: 0 | 1; count_include_pad?: 0 | 1 } = {},
  ): Value {
    return this.#one('AveragePool', [x], { kernel_shape: kernel, ...options });
  }
  globalAveragePool = (x: Value): Value => this.#one('GlobalAveragePool', [x]);

  softmax = (x: Value, axis = -1): Value => this.#one('Softmax', [x], { axis });
  layerNorm(x: Value, scale: Value, bias: Value | null, options: { axis?: number; epsilon: number }): Value {
    const attrs = { axis: options.axis ?? -1, epsilon: options.epsilon };
    return this.#one('LayerNormalization', bias ? [x, scale, bias] : [x, scale], attrs);
  }
  /** Inference form: (x − mean) / √(variance + epsilon) · scale + bias per channel (dimension 1). */
  batchNorm(x: Value, scale: Value, bias: Value, mean: Value, variance: Value, epsilon: number): Value {
    return this.#one('BatchNormalization', [x, scale, bias, mean, variance], { epsilon });
  }

  transpose = (x: Value, perm: readonly number[]): Value => this.#one('Transpose', [x], { perm });
  concat = (values: readonly Value[], axis: number): Value => this.#one('Concat', values, { axis });
  /** x[starts:ends:steps] along `axes`. An end of `Infinity` means to the end. */
  slice(
    x: Value,
    starts: readonly number[],
    ends: readonly number[],
    axes: readonly number[],
    steps?: readonly number[],
  ): Value {
    const stops = ends.map((e) => (e === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : e));
    const inputs = [x, this.ints(starts), this.ints(stops), this.ints(axes)];
    return this.#one('Slice', steps ? [...inputs, this.ints(steps)] : inputs);
  }
  /** Parts of the given sizes along an axis. */
  split(x: Value, sizes: readonly number[], axis: number): Value[] {
    return this.opset < 13
      ? this.op('Split', [x], { axis, split: sizes }, { outputs: sizes.length })
      : this.op('Split', [x, this.ints(sizes)], { axis }, { outputs: sizes.length });
  }
  /** The shape of `indices` (int64 or int32) takes the place of dimension `axis` of `x`: an embedding look-up at axis 0. */
  gather = (x: Value, indices: Value, axis = 0): Value => this.#one('Gather', [x, indices], { axis });
  unsqueeze = (x: Value, axes: readonly number[]): Value => this.#axes('Unsqueeze', x, axes, 13);
  squeeze = (x: Value, axes: readonly number[]): Value => this.#axes('Squeeze', x, axes, 13);
  flatten = (x: Value, axis = 1): Value => this.#one('Flatten', [x], { axis });
  /** Stretches `x` to the int64 vector `shape`, by the rules of broadcasting. */
  expand = (x: Value, shape: Value): Value => this.#one('Expand', [x, shape]);
  /** int64 [rank] */
  shapeOf = (x: Value): Value => this.#one('Shape', [x]);
  /** start, start + delta, … below limit; scalars of one type. */
  range = (start: Value, limit: Value, delta: Value): Value => this.#one('Range', [start, limit, delta]);

  reduceMean = (x: Value, axes?: readonly number[], keepdims = true): Value =>
    this.#axes('ReduceMean', x, axes, 18, { keepdims: Number(keepdims) });
  reduceSum = (x: Value, axes?: readonly number[], keepdims = true): Value =>
    this.#axes('ReduceSum', x, axes, 13, { keepdims: Number(keepdims) });
  reduceMax = (x: Value, axes?: readonly number[], keepdims = true): Value =>
    this.#axes('ReduceMax', x, axes, 18, { keepdims: Number(keepdims) });
  reduceL2 = (x: Value, axes?: readonly number[], keepdims = true): Value =>
    this.#axes('ReduceL2', x, axes, 18, { keepdims: Number(keepdims) });
  argMax = (x: Value, axis: number, keepdims = true): Value =>
    this.#one('ArgMax', [x], { axis, keepdims: Number(keepdims) });
}
