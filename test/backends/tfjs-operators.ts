import { download } from '../../src/backends/tfjs/download.ts';
import { type Engine, using } from '../../src/backends/tfjs/engine.ts';
import { Executor } from '../../src/backends/tfjs/executor.ts';
import { dispose } from '../../src/backends/tfjs/value.ts';
import type { Graph, Node, Param } from '../../src/core/graph.ts';
import { float32, type Tensor, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { codeOf } from '../../src/graph/dtypes.ts';
import type { OperatorCase } from '../graph/operator-cases.ts';

/**
 * How the inputs reach the node: as they are fed; `turned`, through a transposition (so that their axes lie in another order on
 * the engine) and a cast (so that they lie there at all); or `held`, turned but for those after the first, which the graph
 * holds as parameters.
 */
export type Entry = 'fed' | 'turned' | 'held';
export const ENTRIES: readonly Entry[] = ['fed', 'turned', 'held'];

interface Entered {
  readonly graph: Graph;
  readonly feeds: Tensors;
}

function entered(c: OperatorCase, entry: Entry): Entered {
  const nodes: Node[] = [];
  const params: Param[] = [];
  const feeds: Tensors = {};
  c.inputs.forEach((t, i) => {
    if (!t) return;
    const name = `in${i}`;
    if (c.fixed.includes(i) || (entry === 'held' && i > 0)) {
      params.push({ name, dtype: t.dtype, shape: t.shape, role: 'constant', data: t.data });
    } else if (entry === 'fed') feeds[name] = t;
    else {
      feeds[`${name}.fed`] = rotated(t);
      const back = t.shape.map((_, axis) => (axis === t.shape.length - 1 ? 0 : axis + 1));
      nodes.push(node('Transpose', [`${name}.fed`], [`${name}.turned`], { perm: back }));
      nodes.push(node('Cast', [`${name}.turned`], [name], { to: codeOf(t.dtype) }));
    }
  });
  const outputs = Array.from({ length: c.outputs }, (_, i) => `out${i}`);
  nodes.push({
    ...node(
      c.op,
      c.inputs.map((t, i) => (t ? `in${i}` : '')),
      outputs,
      c.attrs,
    ),
    ...(c.domain && { domain: c.domain }),
  });
  const info = (name: string) => ({ name, dtype: 'float32' as const, shape: [] });
  const inputs = Object.keys(feeds).map(info);
  const graph = { name: c.op, opset: { '': c.opset }, inputs, params, outputs: outputs.map(info), nodes };
  return { graph, feeds };
}

const node = (op: string, inputs: string[], outputs: string[], attrs: Node['attrs']): Node => ({
  op,
  name: `${op} of ${outputs[0]}`,
  inputs,
  outputs,
  attrs,
});

/** As float32 with the last axis first: what a transposition by [1, 2, …, 0] undoes. */
function rotated(t: Tensor): Tensor {
  const numbers = toNumbers(t);
  const last = t.shape.at(-1);
  if (last === undefined) return float32([], numbers);
  const rows = numbers.length / last || 0;
  const data = numbers.map((_, i) => numbers[(i % rows) * last + Math.floor(i / rows)]!);
  return float32([last, ...t.shape.slice(0, -1)], data);
}

/**
 * What an engine makes of a case the second time, when what is fixed is known, through the backend's own executor.
 * @throws Error when tensors are left on the engine
 */
export async function runOn(engine: Engine, c: OperatorCase, entry: Entry): Promise<Tensors> {
  const { graph, feeds } = entered(c, entry);
  const numbers = {
    read: async (p: Param) => ({ dtype: p.dtype, shape: p.shape, data: p.data! }),
  };
  return using(engine, async () => {
    const before = engine.tf.memory().numTensors;
    const executor = await Executor.load(graph, numbers, engine, false);
    const fetch = graph.outputs.map(({ name }) => name);
    const results: Tensors = {};
    try {
      for (const value of (await executor.run(feeds, fetch)).values()) dispose(value);
      for (const [name, value] of await executor.run(feeds, fetch)) {
        results[name] = await download(engine, value);
        dispose(value);
      }
    } finally {
      executor.close();
    }
    const left = engine.tf.memory().numTensors - before;
    if (left !== 0) throw new Error(`${c.op} leaves ${left} tensors on ${engine.name}`);
    return results;
  });
}
