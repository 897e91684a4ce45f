import { reasonOf, VersusError } from '../core/errors.ts';
import type { Graph, ValueInfo } from '../core/graph.ts';
import { bytesPerElement, elementCount } from '../core/tensor.ts';
import { graphCost } from '../graph/cost.ts';
import { namesIn } from '../graph/dims.ts';
import { count, plural, shortened } from './text.ts';

/** What is said of one graph. */
export interface GraphReport {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly nodes: number;
  /** Nodes by operator; of another domain than ONNX's as `domain.operator`. */
  readonly operators: Readonly<Record<string, number>>;
  /** Learnt elements that it holds. */
  readonly parameters: number;
  /** Null where they cannot be known; `macs_unknown` says why. */
  readonly macs: number | null;
  readonly macs_unknown: string | null;
  readonly weight_bytes: number;
  readonly opset: number | null;
}

/**
 * Counts and costs of a graph. A graph whose shapes don't work out at these sizes (a convolution over images of one pixel)
 * can be looked at all the same: its MACs are unknown.
 * @param dims sizes of symbolic dimensions; 1 where nothing is said, 0 for an empty cache
 */
export function graphReport(graph: Graph, dims: Readonly<Record<string, number>>): GraphReport {
  const operators = new Map<string, number>();
  for (const { op, domain } of graph.nodes) {
    const label = domain ? `${domain}.${op}` : op;
    operators.set(label, (operators.get(label) ?? 0) + 1);
  }
  const learnt = graph.params.filter((p) => p.role === 'weight');
  const stored = graph.params.filter((p) => p.role !== 'constant');
  return {
    inputs: graph.inputs,
    outputs: graph.outputs,
    nodes: graph.nodes.length,
    operators: Object.fromEntries(operators),
    parameters: learnt.reduce((n, p) => n + elementCount(p.shape), 0),
    ...macsOf(graph, { ...unitDims(graph), ...dims }),
    weight_bytes: stored.reduce((n, p) => n + elementCount(p.shape) * bytesPerElement(p.dtype), 0),
    opset: graph.opset[''] ?? null,
  };
}

function macsOf(
  graph: Graph,
  dims: Readonly<Record<string, number>>,
): Pick<GraphReport, 'macs' | 'macs_unknown'> {
  try {
    const { macs, unknown } = graphCost(graph, dims);
    if (unknown.length === 0) return { macs, macs_unknown: null };
    return { macs: null, macs_unknown: `the cost of ${unknown.slice(0, 5).join(', ')} is not known` };
  } catch (error) {
    if (!(error instanceof VersusError)) throw error;
    return { macs: null, macs_unknown: `${reasonOf(error)}: give other sizes with --dim` };
  }
}

/**
 * One for every name in the inputs' dimensions (`past+sequence` and `4*tokens` follow from theirs); an empty cache
 * (`past…`) is the natural start of a decoder.
 */
function unitDims(graph: Graph): Record<string, number> {
  const names = graph.inputs.flatMap((input) => input.shape.flatMap(namesIn));
  return Object.fromEntries(names.map((name) => [name, /past/.test(name) ? 0 : 1]));
}

const MOST_VALUES = 24;

/** A graph for people: its size, and its inputs and outputs below. */
export function graphLines(name: string, report: GraphReport, width: number): string[] {
  const { nodes, parameters, macs, opset } = report;
  const size = `${plural(nodes, 'node')}, ${plural(parameters, 'parameter')}, ${macsText(macs)} MACs, opset ${opset ?? '?'}`;
  const sides = (['inputs', 'outputs'] as const).flatMap((side) => {
    const all = valueTexts(report[side]);
    const rest = all.length - MOST_VALUES;
    const shown = rest > 0 ? [...all.slice(0, MOST_VALUES), `… ${count(rest)} more`] : all;
    return shown.map(
      (text, i) => `    ${i === 0 ? side.slice(0, -1).padEnd(6) : '      '}  ${shortened(text, width - 12)}`,
    );
  });
  const why =
    report.macs_unknown === null ? [] : [`    ${shortened(`MACs: ${report.macs_unknown}`, width - 4)}`];
  return [`  ${shortened(`${name}: ${size}`, width - 2)}`, ...why, ...sides];
}

export function macsText(macs: number | null): string {
  if (macs === null) return 'unknown';
  if (macs === 0) return '0';
  return macs < 1e8 ? `${(macs / 1e6).toFixed(3)} M` : `${(macs / 1e9).toFixed(3)} G`;
}

/** One text per value; a run of layers that differ only in their number (`past_key_values.0.key` …) is one. */
function valueTexts(values: readonly ValueInfo[]): string[] {
  const texts = new Map<string, number>();
  for (const { name, dtype, shape } of values) {
    const text = `${name.replace(/\.\d+\./, '.N.')}  ${dtype} [${shape.join(', ')}]`;
    texts.set(text, (texts.get(text) ?? 0) + 1);
  }
  return [...texts].map(([text, times]) => (times > 1 ? `${text}  × ${times}` : text));
}
