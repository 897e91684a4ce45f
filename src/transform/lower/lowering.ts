import { VersusError } from '../../core/errors.ts';
import type { Node } from '../../core/graph.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';

/** What a lowering sees of the node that it writes in other operators. */
export class Site {
  readonly node: Node;
  /** Takes the nodes that stand in its place. */
  readonly g: GraphBuilder;
  readonly #inputs: readonly (Value | null)[];

  constructor(node: Node, g: GraphBuilder, inputs: readonly (Value | null)[]) {
    this.node = node;
    this.g = g;
    this.#inputs = inputs;
  }

  has(input: number): boolean {
    return Boolean(this.#inputs[input]);
  }

  in(input: number): Value {
    return this.#inputs[input] ?? this.fail(`input ${input} is missing`);
  }

  float(name: string, otherwise: number): number {
    return Number(this.node.attrs[name] ?? otherwise);
  }

  text(name: string, otherwise: string): string {
    return String(this.node.attrs[name] ?? otherwise);
  }

  /** @throws VersusError `unsupported` that names operator and node */
  fail(problem: string): never {
    const { op, domain, name } = this.node;
    throw new VersusError(
      'unsupported',
      `${domain ? `${domain}.` : ''}${op} in standard operators: ${problem}`,
      {
        where: `node ${name || '(unnamed)'}`,
      },
    );
  }
}

/** A node in other operators: its results in order. */
export type Lowering = (s: Site) => readonly Value[];
export type LoweringTable = Readonly<Record<string, Lowering>>;
