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

/** What a rule sees of the node that it differentiates. */
export class Backward {
  readonly node: Node;
  /** Takes the nodes of the gradient; everything that forward computed can be read from it. */
  readonly g: GraphBuilder;
  readonly #gradients: readonly (Value | null)[];
  readonly #wanted: readonly boolean[];

  /**
   * @param gradients of each result, null for those that the loss doesn't depend on
   * @param wanted whether the gradient of each input is asked for
   */
  constructor(node: Node, g: GraphBuilder, gradients: readonly (Value | null)[], wanted: readonly boolean[]) {
    this.node = node;
    this.g = g;
    this.#gradients = gradients;
    this.#wanted = wanted;
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

  text(name: string, otherwise: string): string {
    return String(this.node.attrs[name] ?? otherwise);
  }

  /** An axis counted from the front. */
  axis(axis: number, rank: number): number {
    return axis < 0 ? axis + rank : axis;
  }

  /** The null of every input. */
  none(): (Value | null)[] {
    return this.node.inputs.map(() => null);
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
