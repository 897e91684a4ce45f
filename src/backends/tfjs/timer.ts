import type { NodeTime } from '../../core/backend.ts';
import type { Node } from '../../core/graph.ts';
import { bytesOf } from '../../graph/ops/entry.ts';
import { operatorOf, VERSUS } from '../../graph/ops/index.ts';
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
      ...workOf(node, inputs, made),
    });
    return made;
  }

  /** In the order in which the nodes first ran; null when none did. */
  times(): readonly NodeTime[] | null {
    return this.entries.size === 0 ? null : [...this.entries.values()];
  }
}

/** What is computed and moved by an operator of our own, which the graph that was given doesn't have. */
function workOf(
  node: Node,
  inputs: readonly (Value | undefined)[],
  made: readonly Made[],
): Pick<NodeTime, 'macs' | 'bytes'> {
  const macs = node.domain === VERSUS ? operatorOf(node)?.macs : undefined;
  if (!macs) return {};
  const cost = {
    node,
    input: (i: number) => inputs[i]?.shape ?? [],
    output: (i: number) => made[i]?.shape ?? [],
  };
  const moved = [...inputs, ...made].map((value) => (value ? bytesOf(value.dtype, value.shape) : 0));
  return { macs: macs(cost), bytes: moved.reduce((sum, bytes) => sum + bytes, 0) };
}
