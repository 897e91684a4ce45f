import type { Attribute, Graph, Node, Shape } from '../../../src/core/graph.ts';
import type { Random } from '../../../src/core/random.ts';
import { DTYPES } from '../../../src/core/tensor.ts';
import { OPERATORS } from '../../../src/graph/ops/index.ts';

const EXTREMES = [
  -1,
  0,
  1,
  2,
  3,
  7,
  64,
  -2,
  -64,
  65_537,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 40,
  2 ** 53 - 1,
  -(2 ** 63),
  2 ** 63,
];

/**
 * One to four changes of a graph that keep it encodable, so that they get past the file format to the rules behind it:
 * attributes, edges, operators, shapes and constants with wild values.
 */
export function mutateGraph(graph: Graph, draw: Random): Graph {
  let out = graph;
  for (let i = 1 + draw.below(4); i > 0; i--) out = change(out, draw);
  return out;
}

function change(graph: Graph, draw: Random): Graph {
  switch (draw.below(6)) {
    case 0: {
      const inputs = graph.inputs.map((v) => (draw.below(2) ? v : { ...v, shape: wildShape(v.shape, draw) }));
      return { ...graph, inputs };
    }
    case 1: {
      const params = graph.params.map((p) => {
        if (!(p.data instanceof BigInt64Array) || draw.below(3) > 0) return p;
        return {
          ...p,
          data: p.data.map((v) => (draw.below(2) ? v : BigInt.asIntN(64, BigInt(draw.pick(EXTREMES))))),
        };
      });
      return { ...graph, params };
    }
    case 2:
      return {
        ...graph,
        inputs: graph.inputs.map((v) => (draw.below(2) ? v : { ...v, dtype: draw.pick(DTYPES) })),
      };
    case 3:
      return { ...graph, opset: { ...graph.opset, '': draw.pick([1, 7, 11, 13, 17, 18, 21]) } };
    default: {
      const at = draw.below(graph.nodes.length);
      const nodes = graph.nodes.map((n, i) => (i === at ? wildNode(n, graph, draw) : n));
      return { ...graph, nodes };
    }
  }
}

function wildNode(node: Node, graph: Graph, draw: Random): Node {
  const names = [...graph.inputs, ...graph.params].map((v) => v.name);
  switch (draw.below(5)) {
    case 0:
      return { ...node, op: draw.pick(Object.keys(OPERATORS)) };
    case 1:
      return { ...node, inputs: node.inputs.map((i) => (draw.below(2) ? i : draw.pick([...names, '']))) };
    case 2:
      return { ...node, inputs: draw.below(2) ? node.inputs.slice(1) : [...node.inputs, draw.pick(names)] };
    case 3:
      return {
        ...node,
        attrs: {
          ...node.attrs,
          [draw.pick(['axis', 'axes', 'perm', 'group', 'kernel_shape'])]: wild([1], draw),
        },
      };
    default:
      return {
        ...node,
        attrs: Object.fromEntries(Object.entries(node.attrs).map(([k, v]) => [k, wild(v, draw)])),
      };
  }
}

function wild(value: Attribute, draw: Random): Attribute {
  if (typeof value === 'number') return draw.pick(EXTREMES);
  if (Array.isArray(value)) return Array.from({ length: draw.below(6) }, () => draw.pick(EXTREMES));
  if (
    typeof value === 'object' &&
    'kind' in value &&
    value.kind === 'tensor' &&
    value.data instanceof BigInt64Array
  ) {
    return { ...value, data: value.data.map(() => BigInt.asIntN(64, BigInt(draw.pick(EXTREMES)))) };
  }
  return value;
}

function wildShape(shape: Shape, draw: Random): Shape {
  const dims = shape.map((d) => {
    if (draw.below(3) > 0) return d;
    const size = draw.pick(EXTREMES);
    return size >= 0 && Number.isSafeInteger(size) ? size : 'a+2*b-floor((c-1)/2)';
  });
  return draw.below(8) ? dims : dims.slice(1);
}
