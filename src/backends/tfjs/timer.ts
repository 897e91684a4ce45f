import type { NodeTime } from '../../core/backend.ts';
import type { Node } from '../../core/graph.ts';
import type { Engine } from './engine.ts';
import type { Made } from './kernels/kernel.ts';
import type { Value } from './value.ts';

interface Entry extends Omit<NodeTime, 'ms'> {
  readonly ms: number[];
}

/** How long each node takes. After every node it waits until the engine has done what it was given. */
export class NodeTimer {
  private readonly engine: Engine;
  private readonly entries = new Map<Node, Entry>();

  constructor(engine: Engine) {
    this.engine = engine;
  }

  async timed(
    node: Node,
    inputs: readonly (Value | undefined)[],
    compute: () => Promise<readonly Made[]>,
  ): Promise<readonly Made[]> {
    const start = performance.now();
    const made = await compute();
    await this.engine.done();
    const ms = [...(this.entries.get(node)?.ms ?? []), performance.now() - start];
    this.entries.set(node, {
      name: node.name || (node.outputs[0] ?? ''),
      op: node.op,
      device: made.some(({ device }) => device) ? `tfjs-${this.engine.name}` : 'host',
      ms,
      inputs: inputs.flatMap((value) => (value ? [value.shape] : [])),
      outputs: made.map(({ shape }) => shape),
    });
    return made;
  }

  /** In the order in which the nodes first ran; null when none did. */
  times(): readonly NodeTime[] | null {
    return this.entries.size === 0 ? null : [...this.entries.values()];
  }
}
