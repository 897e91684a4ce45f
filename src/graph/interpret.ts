import { reasonOf, VersusError } from '../core/errors.ts';
import type { Graph, Node } from '../core/graph.ts';
import type { Tensor, Tensors } from '../core/tensor.ts';
import { kernelOf } from './kernels/index.ts';
import type { Call } from './kernels/kernel.ts';
import { neededNodes } from './needed.ts';

/**
 * Operators of a graph that the interpreter lacks, with the first node of each.
 */
export function unsupportedOperators(graph: Graph): { op: string; node: string }[] {
  const found = new Map<string, string>();
  for (const node of graph.nodes) {
    const op = node.domain && node.domain !== 'ai.onnx' ? `${node.domain}:${node.op}` : node.op;
    if (!kernelOf(node) && !found.has(op)) found.set(op, node.name || (node.outputs[0] ?? ''));
  }
  return [...found].map(([op, node]) => ({ op, node }));
}

/** Operator sets whose meaning the kernels have: before 7 operands were broadcast by attributes. */
const OPSETS = [7, 26] as const;
const SUBGRAPHS: ReadonlySet<string> = new Set(['If', 'Loop', 'Scan']);

/** @throws VersusError `unsupported` that names every operator the interpreter lacks, its operator set and the first such node */
export function checkSupported(graph: Graph): void {
  const refuse = (problem: string, node?: string): never => {
    throw new VersusError('unsupported', problem, {
      where: `graph ${graph.name}${node === undefined ? '' : `, node ${node}`}`,
      next: 'run it on onnxruntime-cpu',
    });
  };
  const opset = graph.opset[''] ?? graph.opset['ai.onnx'];
  const [oldest, newest] = OPSETS;
  if (opset !== undefined && (opset < oldest || opset > newest)) {
    const how =
      opset < oldest
        ? `older than the reference interpreter knows (from ${oldest}`
        : `newer than the reference interpreter knows (up to ${newest}`;
    refuse(`opset ${opset} is ${how})`, graph.nodes[0]?.name || graph.nodes[0]?.outputs[0]);
  }
  const missing = unsupportedOperators(graph);
  const [first] = missing;
  if (!first) return;
  const domains = new Set(missing.map(({ op }) => op.slice(0, Math.max(0, op.lastIndexOf(':')))));
  const versions = [...domains].flatMap((domain) => {
    const version = domain === '' ? opset : graph.opset[domain];
    return version === undefined ? [] : [domain === '' ? `opset ${version}` : `${domain} ${version}`];
  });
  const inner = missing.find(({ op }) => SUBGRAPHS.has(op));
  const why = inner
    ? `; ${inner.op} has subgraphs, and only an If whose condition is constant is folded`
    : '';
  const at = versions.length > 0 ? ` (${versions.join(', ')})` : '';
  refuse(`the reference interpreter lacks ${missing.map((m) => m.op).join(', ')}${at}${why}`, first.node);
}

/**
 * Runs a graph in plain TypeScript, one node after the other: slow, and exact in that sums are kept in float64 and rounded once per
 * node to the element type. Whole numbers go through float64 where arithmetic is done on them, so beyond 2^53 they lose low bits.
 *
 * @param params the graph's parameters by name; those with `data` of their own may be left out
 * @param feeds the graph's inputs by name
 * @param fetch outputs to compute, all when left out; nodes that none of them needs are skipped
 * @throws VersusError `unsupported` for operators that it lacks, `input` for missing values and shapes that don't fit
 */
export function interpret(graph: Graph, params: Tensors, feeds: Tensors, fetch?: readonly string[]): Tensors {
  checkSupported(graph);
  const wanted = fetch ?? graph.outputs.map((output) => output.name);
  const nodes = neededNodes(graph, wanted);
  const values = new Map<string, Tensor>();
  for (const param of graph.params) {
    const given = params[param.name];
    if (given) values.set(param.name, given);
    else if (param.data) values.set(param.name, { dtype: param.dtype, shape: param.shape, data: param.data });
  }
  for (const input of graph.inputs) {
    const fed = feeds[input.name];
    if (fed) values.set(input.name, fed);
  }
  const uses = countUses(nodes, wanted);
  for (const node of nodes) {
    runNode(graph, node, values);
    for (const name of node.inputs) {
      const left = (uses.get(name) ?? 0) - 1;
      uses.set(name, left);
      if (left <= 0) values.delete(name);
    }
  }
  const given = new Set([...Object.values(params), ...Object.values(feeds)].map((t) => t.data));
  const results: Tensors = {};
  for (const name of wanted) {
    const result = values.get(name);
    if (!result) {
      throw new VersusError('input', `the graph has no value '${name}'`, { where: `graph ${graph.name}` });
    }
    // Views share their input's data; what the caller gets is its own.
    results[name] = given.has(result.data)
      ? { ...result, data: result.data.slice() as Tensor['data'] }
      : result;
  }
  return results;
}

function runNode(graph: Graph, node: Node, values: Map<string, Tensor>): void {
  const inputs = node.inputs.map((name) => {
    if (name === '') return undefined;
    const value = values.get(name);
    if (value) return value;
    throw new VersusError('input', `value '${name}' is missing`, {
      where: `graph ${graph.name}, node ${node.name || node.op}`,
      next: 'feed it, or give it among the parameters',
    });
  });
  const opset = graph.opset[''] ?? graph.opset['ai.onnx'] ?? 17;
  const outputs = compute(graph, { node, opset, inputs });
  node.outputs.forEach((name, i) => {
    if (name === '') return;
    const output = outputs[i];
    if (!output) {
      throw new VersusError(
        'unsupported',
        `the reference interpreter does not compute output ${i} of ${node.op}`,
        {
          where: `graph ${graph.name}, node ${node.name}`,
        },
      );
    }
    values.set(name, output);
  });
}

/** Attributes that no kernel foresaw (a hostile file) end as an error of the graph, not of the program. */
function compute(graph: Graph, call: Call): Tensor[] {
  try {
    return kernelOf(call.node)!(call);
  } catch (error) {
    if (error instanceof VersusError) throw error;
    throw new VersusError('input', `${call.node.op} cannot be computed: ${reasonOf(error)}`, {
      where: `graph ${graph.name}, node ${call.node.name || call.node.outputs[0]}`,
      cause: error,
    });
  }
}

/** How often each value is read, so that its memory can go after the last time; wanted values stay. */
function countUses(nodes: readonly Node[], wanted: readonly string[]): Map<string, number> {
  const uses = new Map<string, number>();
  for (const node of nodes) for (const name of node.inputs) uses.set(name, (uses.get(name) ?? 0) + 1);
  for (const name of wanted) uses.set(name, Number.POSITIVE_INFINITY);
  return uses;
}
