import { VersusError } from '../core/errors.ts';
import type { Graph, ValueInfo } from '../core/graph.ts';
import type { Published } from '../core/model.ts';
import { graphCost } from '../graph/cost.ts';
import { namesIn } from '../graph/dims.ts';
import { type CommonOptions, lookingContextOf, print, printJson } from './context.ts';
import { wholeNumber } from './numbers.ts';
import { findModel } from './select.ts';

interface InspectOptions extends CommonOptions {
  readonly batch: string;
  readonly dim?: readonly string[];
}

/**
 * `versus inspect MODEL [--json]`: `{ name, family, task, parameters, published, macs, weight_bytes, graphs: { <name>:
 * { inputs, outputs, nodes, operators, parameters, macs, weight_bytes, opset } } }`. `macs` is the sum over the graphs at the given sizes of
 * the symbolic dimensions (1 where nothing was said), null where one graph's cannot be known.
 */
export async function inspectCommand(name: string, options: InspectOptions): Promise<number> {
  const { config } = await lookingContextOf(options);
  const model = await findModel(config, name);
  const graphs = await model.build(model.config as never);
  const dims = {
    ...model.dims,
    batch: wholeNumber('--batch', options.batch),
    ...parseDims(options.dim ?? []),
  };
  const details = Object.fromEntries(
    Object.entries(graphs).map(([key, graph]) => [key, inspectGraph(graph, dims)]),
  );
  const parameters = distinctWeights(Object.values(graphs));
  const all = Object.values(details);
  const result = {
    name: model.name,
    family: model.family,
    task: model.task,
    parameters,
    published: model.published ?? null,
    macs: all.every((d) => d.macs !== null) ? all.reduce((sum, d) => sum + d.macs!, 0) : null,
    weight_bytes: all.reduce((sum, d) => sum + d.weight_bytes, 0),
    dims,
    config: model.config,
    graphs: details,
  };
  if (options.json) {
    printJson(result);
    return 0;
  }
  print(`${result.name}  (${result.family}, ${result.task})`);
  print(`  parameters  ${parameters.toLocaleString('en')}${checked(parameters, model.published)}`);
  print(
    `  MACs        ${result.macs === null ? 'unknown' : `${(result.macs / 1e9).toFixed(3)} G`} at ${dimText(dims)}`,
  );
  for (const [key, d] of Object.entries(details)) {
    print(
      `  graph ${key}: ${d.nodes} nodes, ${d.parameters.toLocaleString('en')} parameters, opset ${d.opset}`,
    );
    for (const side of ['inputs', 'outputs'] as const) {
      for (const text of valueLines(d[side])) print(`    ${side.slice(0, -1).padEnd(6)}  ${text}`);
    }
  }
  return 0;
}

/** One line per value; a run of layers that differ only in their number (`past_key_values.0.key` …) is one line. */
function valueLines(values: readonly ValueInfo[]): string[] {
  const lines = new Map<string, number>();
  for (const { name, dtype, shape } of values) {
    const text = `${name.replace(/\.\d+\./, '.N.')}  ${dtype} [${shape.join(', ')}]`;
    lines.set(text, (lines.get(text) ?? 0) + 1);
  }
  return [...lines].map(([text, count]) => (count > 1 ? `${text}  × ${count}` : text));
}

function checked(parameters: number, published: Published | undefined): string {
  if (published?.parameters === undefined) {
    return published?.rounded === undefined ? '' : `  (published: ${published.rounded})`;
  }
  return parameters === published.parameters
    ? '  = published'
    : `  (published: ${published.parameters.toLocaleString('en')})`;
}

function dimText(dims: Record<string, number>): string {
  return Object.entries(dims)
    .map(([key, size]) => `${key}=${size}`)
    .join(', ');
}

/** Learnt elements over all graphs; a parameter that several graphs share (tied embeddings) is counted once. */
function distinctWeights(graphs: readonly Graph[]): number {
  const sizes = new Map<string, number>();
  for (const graph of graphs) {
    for (const param of graph.params) {
      if (param.role === 'weight')
        sizes.set(
          param.name,
          param.shape.reduce((n, d) => n * d, 1),
        );
    }
  }
  return [...sizes.values()].reduce((sum, n) => sum + n, 0);
}

function inspectGraph(graph: Graph, dims: Record<string, number>) {
  const cost = graphCost(graph, { ...unitDims(graph), ...dims });
  const operators: Record<string, number> = {};
  for (const node of graph.nodes) operators[node.op] = (operators[node.op] ?? 0) + 1;
  return {
    inputs: graph.inputs,
    outputs: graph.outputs,
    nodes: graph.nodes.length,
    operators,
    parameters: distinctWeights([graph]),
    macs: cost.macs,
    weight_bytes: cost.weightBytes,
    opset: graph.opset[''] ?? null,
  };
}

/**
 * One for every name in the inputs' dimensions (`past+sequence` and `4*tokens` follow from theirs); an empty cache
 * (`past…`) is the natural start of a decoder.
 */
function unitDims(graph: Graph): Record<string, number> {
  const names = graph.inputs.flatMap((input) => input.shape.flatMap(namesIn));
  return Object.fromEntries(names.map((name) => [name, /past/.test(name) ? 0 : 1]));
}

function parseDims(texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    texts.map((text) => {
      const [key, value, ...rest] = text.split('=');
      if (!key || value === undefined || rest.length > 0) {
        throw new VersusError('usage', `--dim: expected NAME=N, got '${text}'`, {
          next: 'for example --dim sequence=128',
        });
      }
      return [key, wholeNumber(`--dim ${key}`, value, 0)];
    }),
  );
}
