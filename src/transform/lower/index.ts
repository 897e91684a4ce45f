import { createHash } from 'node:crypto';
import type { Graph, Node, Param } from '../../core/graph.ts';
import { toBytes } from '../../core/tensor.ts';
import { GraphBuilder, type Value } from '../../graph/builder.ts';
import { inferShapes, inferTypes } from '../../graph/infer.ts';
import type { Type } from '../../graph/ops/entry.ts';
import { byDomain, operatorOf } from '../../graph/ops/index.ts';
import { freshNames } from '../view.ts';
import { activations, ownActivations } from './activation.ts';
import { crossEntropy } from './cross-entropy.ts';
import { fused } from './fused.ts';
import { type Lowering, type LoweringTable, Site } from './lowering.ts';
import { norms } from './norm.ts';

/** What a runtime computes besides the standard operators of the graph's opset. */
export interface Target {
  /** Nodes that it computes as they are. */
  readonly keep?: (node: Node) => boolean;
  /** It is onnxruntime: its own operators may come out where one stands for several. */
  readonly microsoft?: boolean;
  /** It is onnxruntime's cpu: runs Scan and passes slices on without copies, and its pools say what they chose. */
  readonly processor?: boolean;
  /** Its BatchNormalization takes statistics and makes none. */
  readonly fixedBatchNorm?: boolean;
}

const STANDARD: LoweringTable = { ...activations, ...norms, SoftmaxCrossEntropyLoss: crossEntropy };
/** Of an opset that has them, and yet computed by few runtimes: onnxruntime's npm package has no losses. */
const RARE: ReadonlySet<string> = new Set(['SoftmaxCrossEntropyLoss']);
/** The last opset whose forms the builder writes; later ones have not changed what is used here. */
const NEWEST = 21;

/**
 * The graph without the operators that transforms put in for what they stand for (`recognise-*.ts`, `fuse-*.ts`, losses): those
 * that are newer than its opset, those of our own domain, and losses, in standard operators of its opset. Names and types of all
 * other values stay.
 *
 * @throws VersusError `unsupported` for a variant that has no such form
 */
export function lower(graph: Graph, target: Target = {}): Graph {
  const opset = graph.opset[''] ?? graph.opset['ai.onnx'] ?? 17;
  const asked = graph.nodes.flatMap((node) => {
    const how = loweringOf(node, opset, target);
    return how ? [[node, how] as const] : [];
  });
  if (asked.length === 0) return graph;
  const { types } = inferTypes(graph, {});
  const fresh = freshNames(graph);
  const constants = new Constants(fresh);
  const made = new Map(
    asked.map(([node, how]) => [node, written(node, how, types, Math.min(opset, NEWEST), fresh, constants)]),
  );
  const nodes = graph.nodes.flatMap((node) => made.get(node) ?? [node]);
  const domains = new Set(nodes.map(({ domain }) => domain ?? ''));
  const known = Object.entries(graph.opset).filter(([domain]) => domain !== 'versus' || domains.has(domain));
  const added = [...domains].flatMap((domain) =>
    domain === '' || domain === 'ai.onnx' ? [] : [[domain, 1]],
  );
  const opsets = { ...Object.fromEntries(added), ...Object.fromEntries(known) };
  const lowered = { ...graph, opset: opsets, params: [...graph.params, ...constants.params], nodes };
  return { ...inferShapes(lowered), inputs: graph.inputs, outputs: graph.outputs };
}

function loweringOf(node: Node, opset: number, target: Target): Lowering | undefined {
  const standard = !node.domain || node.domain === 'ai.onnx';
  const missing = !standard || RARE.has(node.op) || (operatorOf(node)?.since ?? 0) > opset;
  if (!missing || target.keep?.(node)) return undefined;
  const table = byDomain(node, target.microsoft ? { ...STANDARD, ...ownActivations } : STANDARD, {}, fused);
  return table && Object.hasOwn(table, node.op) ? table[node.op] : undefined;
}

/** The nodes that stand for one, under names that the graph doesn't have. */
function written(
  node: Node,
  how: Lowering,
  types: ReadonlyMap<string, Type>,
  opset: number,
  fresh: (wanted: string) => string,
  constants: Constants,
): readonly Node[] {
  const g = new GraphBuilder(node.name, { opset });
  const fed = new Map<string, Value>();
  const inputs = node.inputs.map((name) => {
    if (name === '') return null;
    const type = types.get(name) ?? new Site(node, g, []).fail(`the type of ${name} is not known`);
    const value = fed.get(name) ?? g.input(name, type.dtype, type.shape);
    fed.set(name, value);
    return value;
  });
  const results = g.scope(node.name || node.op, () => how(new Site(node, g, inputs)));
  node.outputs.forEach((name, i) => {
    if (name !== '') g.output(name, results[i]!);
  });
  const part = g.build();
  const names = new Map<string, string>([...fed.keys(), ...node.outputs].map((name) => [name, name]));
  for (const param of part.params) names.set(param.name, constants.add(param));
  for (const output of part.nodes.flatMap((n) => n.outputs))
    if (output !== '' && !names.has(output)) names.set(output, fresh(output));
  const rename = (name: string): string => names.get(name) ?? name;
  return part.nodes.map((n) => ({
    ...n,
    inputs: n.inputs.map(rename),
    outputs: n.outputs.map(rename),
  }));
}

/** Constants of all that was written, each once. */
class Constants {
  readonly params: Param[] = [];
  readonly #names = new Map<string, string>();
  readonly #fresh: (wanted: string) => string;

  constructor(fresh: (wanted: string) => string) {
    this.#fresh = fresh;
  }

  /** The name of a constant of those contents. */
  add(param: Param): string {
    const content = createHash('sha256').update(toBytes(param.data!)).digest('hex');
    const key = `${param.dtype}|${param.shape.join()}|${content}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = this.#fresh(param.name);
    this.params.push({ ...param, name });
    this.#names.set(key, name);
    return name;
  }
}
