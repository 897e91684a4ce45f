import { VersusError } from '../../core/errors.ts';
import type { Node } from '../../core/graph.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';

/**
 * The gradient of an operator: given the gradients of its results, nodes that compute those of its inputs.
 *
 * @returns one entry per input of the node, null where it has no gradient or none is wanted. Each has the shape and element
 *   type of its input.
 */
export type Rule = (b: Backward) => readonly (Value | null)[];

/** Rules by operator. */
export type RuleTable = Readonly<Record<string, Rule>>;

/** What the runtime of a gradient is good at, where the standard operators leave a choice. */
export interface Means {
  /** MaxPool's second result, the places of what it chose: none on WebGPU, and none in tfjs. */
  readonly places?: boolean;
}

/** What a rule sees of the node that it differentiates. */
export class Backward {
  readonly node: Node;
  readonly means: Means;
  /** Takes the nodes of the gradient; everything that forward computed can be read from it. */
  readonly g: GraphBuilder;
  readonly #gradients: readonly (Value | null)[];
  readonly #wanted: readonly boolean[];
  readonly #take: (name: string) => Value | null;

  /**
   * @param gradients of each result, null for those that the loss doesn't depend on
   * @param wanted whether the gradient of each input is asked for
   * @param take gives away what other readers of a value have added up to its gradient so far
   * @param means of the runtime; none that not all have when left out
   */
  constructor(
    node: Node,
    g: GraphBuilder,
    gradients: readonly (Value | null)[],
    wanted: readonly boolean[],
    take: (name: string) => Value | null = () => null,
    means: Means = {},
  ) {
    this.node = node;
    this.means = means;
    this.g = g;
    this.#gradients = gradients;
    this.#wanted = wanted;
    this.#take = take;
  }

  /** Gradient of the first result. */
  get dy(): Value {
    return this.gradient(0) ?? this.fail('no gradient reaches its first result');
  }

  /** Gradient of a result; null where the loss doesn't depend on it. */
  gradient(output: number): Value | null {
    return this.#gradients[output] ?? null;
  }

  wanted(input: number): boolean {
    return this.#wanted[input] ?? false;
  }

  has(input: number): boolean {
    return (this.node.inputs[input] ?? '') !== '';
  }

  in(input: number): Value {
    const name = this.node.inputs[input] ?? '';
    return name === '' ? this.fail(`input ${input} is missing`) : this.g.value(name);
  }

  /** A result of the node, as forward computed it. */
  out(output = 0): Value {
    const name = this.node.outputs[output] ?? '';
    return name === '' ? this.fail(`result ${output} is left out`) : this.g.value(name);
  }

  /** A result that forward may have left out (a mask, statistics): the node gets it as an output where it lacks it. */
  kept(output: number): Value {
    return this.g.result(this.node, output);
  }

  /**
   * What other readers have added up to the gradient of an input so far, for rules that can write theirs into it: what such a
   * rule returns counts for all of them. Null where there is none.
   */
  before(input: number): Value | null {
    return this.#take(this.node.inputs[input] ?? '');
  }

  /** The sizes of a value. @throws VersusError `unsupported` where they don't follow from the graph */
  sizes(value: Value): readonly number[] {
    if (value.shape.every((d) => typeof d === 'number')) return value.shape as readonly number[];
    return this.fail(
      `the shape of ${value.name} is [${value.shape.join(', ')}]`,
      'give sizes for all dimensions before the gradient is made',
    );
  }

  /** Contents of a small whole-number input, such as axes; undefined where it is left out. */
  numbers(input: number): readonly number[] | undefined {
    if (!this.has(input)) return undefined;
    return this.g.known(this.in(input)) ?? this.fail(`input ${input} depends on what is fed`);
  }

  int(name: string, otherwise: number): number {
    return Number(this.node.attrs[name] ?? otherwise);
  }

  ints(name: string): readonly number[] | undefined {
    return this.node.attrs[name] as readonly number[] | undefined;
  }

  float(name: string, otherwise: number): number {
    return Number(this.node.attrs[name] ?? otherwise);
  }

  text(name: string, otherwise: string): string {
    return String(this.node.attrs[name] ?? otherwise);
  }

  /** An axis counted from the front. */
  axis(axis: number, rank: number): number {
    return axis < 0 ? axis + rank : axis;
  }

  /** One entry per input: null, but for those that are given. */
  only(...gradients: readonly (Value | null)[]): (Value | null)[] {
    return this.node.inputs.map((_, i) => gradients[i] ?? null);
  }

  /** @throws VersusError `unsupported` that names operator and node */
  fail(problem: string, next?: string): never {
    const { op, domain, name } = this.node;
    throw new VersusError('unsupported', `no gradient of ${domain ? `${domain}.` : ''}${op}: ${problem}`, {
      where: `graph ${this.g.name}, node ${name || '(unnamed)'}`,
      ...(next !== undefined && { next }),
    });
  }
}

/** The sum of a gradient over the axes along which its operand was stretched (NumPy's broadcasting). */
export function unbroadcast(b: Backward, gradient: Value, operand: Value): Value {
  const [from, to] = [b.sizes(gradient), b.sizes(operand)];
  if (from.join() === to.join()) return gradient;
  const lead = from.length - to.length;
  const axes = from.flatMap((d, i) => (i < lead || (to[i - lead] === 1 && d !== 1) ? [i] : []));
  const summed = axes.length > 0 ? b.g.reduceSum(gradient, axes, true) : gradient;
  return summed.shape.length === to.length ? summed : b.g.reshape(summed, to);
}

/** A rule of one operand: `make` is asked for the gradient where it is wanted. Further inputs have none. */
export const unary =
  (make: (b: Backward) => Value): Rule =>
  (b) =>
    b.only(b.wanted(0) ? make(b) : null);

/** A bool as 0 and 1 of the type of `like`. */
export const asNumber = (b: Backward, condition: Value, like: Value): Value =>
  b.g.cast(condition, like.dtype);

/**
 * 1 where x > 0, else 0, of x's type. In the wide types that is one node, a line so steep that its clipped part is a step;
 * numbers below 2⁻¹⁰⁰ fall short of 1. On onnxruntime's cpu it costs half of a comparison and a conversion.
 */
export function step(b: Backward, x: Value): Value {
  if (x.dtype === 'float32' || x.dtype === 'float64')
    return b.g.op('HardSigmoid', [x], { alpha: 2 ** 100, beta: 0 })[0]!;
  return asNumber(b, b.g.greater(x, 0), x);
}

/**
 * `gradient` where the condition holds, else 0. A product with 0 and 1: onnxruntime's cpu takes twice as long to pick elements
 * as to convert and multiply them.
 */
export const masked = (b: Backward, gradient: Value, condition: Value): Value =>
  b.g.mul(gradient, asNumber(b, condition, gradient));
