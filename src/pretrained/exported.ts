import type { Graph } from '../core/graph.ts';
import type { ModelDef, Task } from '../core/model.ts';
import { openOnnx } from '../graph/onnx/index.ts';
import { filesOfGraphs, type OnnxOptions, onnxGraphs } from '../weights/index.ts';

/**
 * Exported ONNX files of a folder as a model of their own: which graphs there are says what it is for.
 * @throws VersusError `input` when the files make no model or cannot be read
 */
export async function onnxParts(
  dir: string,
  config: Readonly<Record<string, unknown>> | null,
  options: OnnxOptions,
): Promise<Omit<ModelDef, 'name'>> {
  const names = await onnxGraphs(dir, options);
  const files = await filesOfGraphs(dir, names, options.variant ?? 'fp32');
  const graphs = await decoded(files);
  const type = config?.model_type;
  return {
    family: typeof type === 'string' ? type : 'onnx',
    task: taskOf(graphs),
    config: config ?? {},
    files,
    build: async () => graphs,
    ...(graphs.text && { dims: contextOf(graphs.text, config) }),
  };
}

/** Tokens of a prompt, where the text tower leaves them open: as many as it has places for. */
function contextOf(text: Graph, config: Readonly<Record<string, unknown>> | null): Record<string, number> {
  const open = text.inputs.find((input) => input.name === 'input_ids')?.shape[1];
  const tower = (config?.text_config ?? {}) as { readonly max_position_embeddings?: unknown };
  const context = tower.max_position_embeddings;
  if (typeof open !== 'string' || !Number.isSafeInteger(context) || (context as number) < 1) return {};
  // By the file's name for whoever reads the graph, by ours for whoever runs it.
  return { [open]: context as number, sequence: context as number };
}

/** Structure only: large initialisers stay on disk. */
async function decoded(files: Readonly<Record<string, string>>): Promise<Record<string, Graph>> {
  const graphs: Record<string, Graph> = {};
  for (const [name, path] of Object.entries(files)) {
    const { graph, weights } = await openOnnx(path);
    await weights.close();
    graphs[name] = graph;
  }
  return graphs;
}

function taskOf(graphs: Readonly<Record<string, Graph>>): Task {
  if (graphs.text) return 'embed';
  if (graphs.decoder) return 'generate';
  const takes = (name: string) => graphs.model?.inputs.some((input) => input.name === name) ?? false;
  if (!takes('input_ids')) return 'classify';
  // CLIP as one file: both towers at once.
  return takes('pixel_values') ? 'embed' : 'generate';
}
