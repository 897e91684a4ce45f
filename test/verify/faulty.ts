import { reference } from '../../src/backends/reference.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { Graph, Node } from '../../src/core/graph.ts';

/**
 * The interpreter with a kernel that is wrong: results of `at` are multiplied by `by`. With `fused`, only where its optimisation
 * may join the node with the Add behind it, and then in the result of that.
 */
export function faulty(at: (node: Node) => boolean, by: number, fused = false): Backend {
  return {
    ...reference,
    name: 'faulty',
    open: (artifact, options) =>
      reference.open(
        {
          ...artifact,
          graph: async () => {
            const graph = await artifact.graph();
            if (!fused) return wrong(graph, at, by);
            return options.optimisation === 'disabled' ? graph : wrongFusion(graph, at, by);
          },
        },
        options,
      ),
  };
}

function wrong(graph: Graph, at: (node: Node) => boolean, by: number): Graph {
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const [result] = node.outputs;
    if (!at(node) || !result) return [node];
    const right = `${result}/right`;
    return [
      { ...node, outputs: [right, ...node.outputs.slice(1)] },
      { op: 'Mul', name: `${node.name}/fault`, inputs: [right, 'fault'], outputs: [result], attrs: {} },
    ];
  });
  const data = Float32Array.from([by]);
  return {
    ...graph,
    params: [...graph.params, { name: 'fault', dtype: 'float32', shape: [], role: 'constant', data }],
    nodes,
  };
}

/** A result that is an output of the graph, or read twice, cannot be fused away. */
function wrongFusion(graph: Graph, at: (node: Node) => boolean, by: number): Graph {
  const asked = new Set(graph.outputs.map((o) => o.name));
  const readers = (name: string) => graph.nodes.filter((n) => n.inputs.includes(name));
  const ends = new Set(
    graph.nodes.flatMap((node) => {
      const [result = ''] = node.outputs;
      const behind = readers(result);
      return at(node) && !asked.has(result) && behind.length === 1 && behind[0]!.op === 'Add' ? behind : [];
    }),
  );
  return wrong(graph, (node) => ends.has(node), by);
}
