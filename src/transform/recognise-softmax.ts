import type { Graph, Node } from '../core/graph.ts';
import { rewriteAll } from './rewrite.ts';
import { isOp, type View } from './view.ts';

/**
 * exp(x − max(x)) ÷ Σ exp(x − max(x)), and the same without the maximum, along one dimension as Softmax. Up to opset 12 that
 * operator flattens what follows its dimension, so there only the last one is meant the same.
 */
export async function recogniseSoftmax(graph: Graph): Promise<Graph> {
  return rewriteAll(graph, (node, view) => {
    if (!isOp(node, 'Div')) return null;
    const [exp, sum] = [view.producer(node.inputs[0], 'Exp'), view.producer(node.inputs[1], 'ReduceSum')];
    if (!exp || !sum || sum.inputs[0] !== exp.outputs[0]) return null;
    const rank = view.type(exp.inputs[0])?.shape.length;
    const axis = axisOf(sum, rank, view);
    if (axis === null || (view.opset < 13 && axis !== rank! - 1)) return null;
    const shift = view.producer(exp.inputs[0], 'Sub');
    const top = shift && view.producer(shift.inputs[1], 'ReduceMax');
    const shifted = top && top.inputs[0] === shift.inputs[0] && axisOf(top, rank, view) === axis;
    const x = shifted ? shift.inputs[0]! : exp.inputs[0]!;
    const softmax: Node = {
      ...{ op: 'Softmax', name: node.name, inputs: [x], outputs: node.outputs, attrs: { axis } },
    };
    return { root: node, inner: [exp, sum, ...(shifted ? [shift, top] : [])], nodes: [softmax] };
  });
}

/** The one dimension that a reduction runs over and leaves as 1, counted from the front; else null. */
function axisOf(node: Node, rank: number | undefined, view: View): number | null {
  if (rank === undefined || (node.attrs.keepdims ?? 1) !== 1) return null;
  const given = node.inputs[1] ? view.constant(node.inputs[1])?.data : (node.attrs.axes as readonly number[]);
  if (given?.length !== 1) return null;
  const axis = Number(given[0]);
  return axis < 0 ? axis + rank : axis;
}
