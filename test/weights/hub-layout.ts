import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Graph, Node, Param, ValueInfo } from '../../src/core/graph.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { fromBytes } from '../../src/core/tensor.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { seeded } from '../../src/weights/index.ts';

/** How a graph of ours goes to disk the way an exporter would write it. */
export interface Exported {
  /** File name below `onnx/`, without `.onnx`. */
  readonly file: string;
  readonly change?: (graph: Graph) => Graph;
  /** Weights in `<file>.onnx_data` beside it. */
  readonly external?: boolean;
}

/** Writes graphs of a model, with its seeded weights, into `<dir>/onnx` in the layout of the hub. */
export async function exportLikeHub(
  model: ModelDef,
  dir: string,
  files: Readonly<Record<string, Exported>>,
): Promise<void> {
  await mkdir(join(dir, 'onnx'), { recursive: true });
  const graphs = await model.build(model.config);
  for (const [name, { file, change = (g: Graph) => g, external = false }] of Object.entries(files)) {
    const graph = openDims(change(await withData(graphs[name]!)));
    const path = join(dir, 'onnx', `${file}.onnx`);
    if (external) await writeExternal(path, graph);
    else await writeFile(path, encodeOnnx(graph));
  }
}

async function withData(graph: Graph): Promise<Graph> {
  const drawn = graph.params.filter((p) => !p.data);
  const source = await seeded().open(drawn);
  const params: Param[] = [];
  for (const p of graph.params) {
    if (p.data) {
      params.push(p);
      continue;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of source.read(p)) chunks.push(Buffer.from(chunk));
    params.push({ ...p, data: fromBytes(p.dtype, new Uint8Array(Buffer.concat(chunks))) });
  }
  return { ...graph, params };
}

async function writeExternal(path: string, graph: Graph): Promise<void> {
  const offsets: Record<string, number> = {};
  const handle = await open(`${path}_data`, 'w');
  let at = 0;
  for (const { name, data } of graph.params) {
    if (!data || data.byteLength < 1024) continue;
    offsets[name] = at;
    await handle.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 0, data.byteLength, at);
    at += Math.ceil(data.byteLength / 4096) * 4096;
  }
  await handle.close();
  const location = `${path.slice(path.lastIndexOf('/') + 1)}_data`;
  await writeFile(path, encodeOnnx(graph, { external: { location, offsets } }));
}

/** Symbolic dimensions as optimum names them. */
function openDims(graph: Graph): Graph {
  const names: Record<string, string> = {
    batch: 'batch_size',
    sequence: 'sequence_length',
    past: 'past_sequence_length',
    'past+sequence': 'total_sequence_length',
  };
  const rename = (info: ValueInfo): ValueInfo => ({
    ...info,
    shape: info.shape.map((dim) => (typeof dim === 'string' ? (names[dim] ?? dim) : dim)),
  });
  return { ...graph, inputs: graph.inputs.map(rename), outputs: graph.outputs.map(rename) };
}

/** The hidden state ahead of what is handed on, and that under another name, as exported encoders have it. */
export function encoderLike(name: string): (graph: Graph) => Graph {
  return (graph) => {
    const [main] = graph.outputs;
    const nodes: Node[] = [
      {
        op: 'Identity',
        name: 'beside',
        inputs: [graph.inputs[0]!.name],
        outputs: ['last_hidden_state'],
        attrs: {},
      },
      { op: 'Identity', name: 'renamed', inputs: [main!.name], outputs: [`${name}_`], attrs: {} },
    ];
    const beside = { ...graph.inputs[0]!, name: 'last_hidden_state' };
    if (name === main!.name) {
      return { ...graph, nodes: [...graph.nodes, nodes[0]!], outputs: [beside, main!] };
    }
    nodes[1] = { ...nodes[1]!, outputs: [name] };
    return { ...graph, nodes: [...graph.nodes, ...nodes], outputs: [beside, { ...main!, name }] };
  };
}

/**
 * A merged decoder: `use_cache_branch` chooses between two subgraphs, and the logits are zero when it doesn't say whether
 * there is a cache.
 */
export function mergedLike(graph: Graph): Graph {
  const node = (op: string, inputs: string[], output: string, attrs: Node['attrs'] = {}): Node => ({
    ...{ op, name: output, inputs, outputs: [output], attrs },
  });
  const branch = (name: string): Graph => ({
    ...{ name, opset: graph.opset, inputs: [], params: [] },
    nodes: [node('Mul', ['logits_raw', 'fits'], `${name}_logits`)],
    outputs: [{ name: `${name}_logits`, dtype: 'float32', shape: ['b', 's', 'v'] }],
  });
  const nodes = graph.nodes.map((n) => ({
    ...n,
    outputs: n.outputs.map((o) => (o === 'logits' ? 'logits_raw' : o)),
    inputs: n.inputs.map((i) => (i === 'logits' ? 'logits_raw' : i)),
  }));
  return {
    ...graph,
    inputs: [...graph.inputs, { name: 'use_cache_branch', dtype: 'bool', shape: [1] }],
    params: [
      ...graph.params,
      { name: 'axis2', dtype: 'int64', shape: [1], role: 'constant', data: BigInt64Array.of(2n) },
      { name: 'zero', dtype: 'int64', shape: [1], role: 'constant', data: BigInt64Array.of(0n) },
    ],
    nodes: [
      ...nodes,
      node('Shape', ['past_key_values.0.key'], 'past_shape'),
      node('Gather', ['past_shape', 'axis2'], 'past_length'),
      node('Greater', ['past_length', 'zero'], 'cached'),
      node('Equal', ['cached', 'use_cache_branch'], 'says'),
      node('Cast', ['says'], 'fits', { to: 1 }),
      node('If', ['use_cache_branch'], 'logits', {
        then_branch: { kind: 'graph', graph: branch('with') },
        else_branch: { kind: 'graph', graph: branch('without') },
      }),
    ],
  };
}
