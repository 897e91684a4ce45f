import type { Node, ValueInfo } from '../../src/core/graph.ts';
import { float32, int64, type Tensors } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { inferTypes } from '../../src/graph/infer.ts';
import type { FuzzCase } from './sketch.ts';

/** What a condition sees of a node: it, the operator set, and its inputs as far as they are known. */
export interface Site {
  readonly node: Node;
  readonly opset: number;
  readonly input: (i: number) => Pick<ValueInfo, 'dtype' | 'shape'> | undefined;
}

/** A fault of a runtime's release. The fuzzer passes over it; a test holds that it is still there. */
export interface KnownBug {
  readonly runtime: string;
  readonly version: string;
  readonly op: string;
  /** Which uses of the operator are hit. */
  readonly when: (site: Site) => boolean;
  /** What goes wrong, in one sentence. */
  readonly about: string;
  /** The smallest graph that shows it. */
  readonly example: () => FuzzCase;
}

/** The known faults that a case would run into on a runtime. */
export function knownIn({ graph, feeds }: FuzzCase, runtime: string, bugs: readonly KnownBug[]): KnownBug[] {
  const own = bugs.filter((bug) => bug.runtime === runtime);
  if (own.length === 0 || !graph.nodes.some((node) => own.some((bug) => bug.op === node.op))) return [];
  const types = typesOf(graph, feeds);
  return own.filter((bug) =>
    graph.nodes.some(
      (node) =>
        node.op === bug.op &&
        bug.when({ node, opset: graph.opset['']!, input: (i) => types.get(node.inputs[i] ?? '') }),
    ),
  );
}

function typesOf(graph: FuzzCase['graph'], feeds: Tensors): ReturnType<typeof inferTypes>['types'] {
  try {
    const inputs = graph.inputs.map((i) => ({ ...i, shape: feeds[i.name]?.shape ?? i.shape }));
    return inferTypes({ ...graph, inputs }, {}).types;
  } catch {
    return new Map();
  }
}

/** A graph of one node over what it is fed. */
function single(
  op: string,
  feeds: Tensors,
  attrs: Node['attrs'] = {},
  options: { opset?: number; domain?: string; shape?: readonly number[]; constants?: Tensors } = {},
): FuzzCase {
  const constants = options.constants ?? {};
  const first = Object.values(feeds)[0]!;
  return {
    graph: {
      name: 'known',
      opset: { '': options.opset ?? 17, ...(options.domain && { [options.domain]: 1 }) },
      inputs: Object.entries(feeds).map(([name, t]) => ({ name, dtype: t.dtype, shape: t.shape })),
      outputs: [{ name: 'y', dtype: first.dtype, shape: options.shape ?? first.shape }],
      params: Object.entries(constants).map(([name, t]) => ({ name, ...t, role: 'constant' as const })),
      nodes: [
        {
          ...{
            op,
            name: 'node',
            inputs: [...Object.keys(feeds), ...Object.keys(constants)],
            outputs: ['y'],
            attrs,
          },
          ...(options.domain && { domain: options.domain }),
        },
      ],
    },
    feeds,
  };
}

export const KNOWN: readonly KnownBug[] = [];

void [single, float32, int64, GraphBuilder];
