import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { inferShapes, inferTypes } from '../graph/infer.ts';
import type { Type } from '../graph/ops/entry.ts';

export type Graphs = Readonly<Record<string, Graph>>;
export type Dims = Readonly<Record<string, number>>;

/** One graph at the sizes of one call. */
export interface Call {
  readonly name: string;
  readonly graph: Graph;
  readonly dims: Dims;
  readonly types: ReadonlyMap<string, Type>;
}

/** A step of what a model does for a request, as workloads name it. */
export interface Phase {
  readonly name: string;
  /** What is done once: images, texts or tokens, over the batch. */
  readonly items: number;
  readonly calls: readonly Call[];
}

export interface Request {
  readonly batch: number;
  /** Text tokens of a prompt, or of CLIP's text; the model's own default when left out. */
  readonly prompt?: number;
  /** Tokens generated per sequence. */
  readonly newTokens: number;
}

export interface Phases {
  readonly phases: readonly Phase[];
  /** Tokens that an image takes in the prompt; 0 for models without images. */
  readonly imageTokens: number;
  /** Tokens in the prompt, image tokens included; null for models that read no text. */
  readonly context: number | null;
}

const DEFAULT_PROMPT = 128;

/**
 * What a model does for one request: `infer`; `vision` and `text`; or `vision`, `prefill` and one `decode` step, in the middle or
 * at the end of the generation.
 */
export function phasesOf(model: ModelDef, graphs: Graphs, request: Request, at: 'middle' | 'end'): Phases {
  const { batch } = request;
  const dims: Dims = { ...model.dims, batch };
  if (model.task === 'generate') return generation(graphs, dims, request, at === 'end' ? 1 : 0.5);
  if (graphs.vision && graphs.text) {
    const sequence = request.prompt ?? dims.sequence ?? 77;
    return {
      phases: [
        { name: 'vision', items: batch, calls: [call(graphs, 'vision', dims)] },
        { name: 'text', items: batch, calls: [call(graphs, 'text', { ...dims, sequence })] },
      ],
      ...{ imageTokens: 0, context: sequence },
    };
  }
  const calls = Object.keys(graphs).map((name) => call(graphs, name, dims));
  return { phases: [{ name: 'infer', items: batch, calls }], imageTokens: 0, context: null };
}

function generation(
  graphs: Graphs,
  dims: Dims,
  { batch, prompt, newTokens }: Request,
  share: number,
): Phases {
  const vision = graphs.vision ? call(graphs, 'vision', dims) : null;
  const imageTokens = vision ? rowsOf(vision, batch) : 0;
  const context = imageTokens + (prompt ?? dims.sequence ?? DEFAULT_PROMPT);
  const decoder = graphs.decoder ? 'decoder' : 'model';
  const step = (sequence: number, past: number): Call[] => {
    const sizes = { ...dims, sequence, past, source: context };
    const embed = graphs.embed ? [call(graphs, 'embed', sizes)] : [];
    return [...embed, call(graphs, decoder, sizes)];
  };
  const source = { ...dims, sequence: context, source: context };
  const encode = graphs.encoder ? [call(graphs, 'embed', source), call(graphs, 'encoder', source)] : [];
  const done = graphs.encoder ? 1 : context;
  const prefill = [...encode, ...step(done, 0)];
  return {
    phases: [
      ...(vision ? [{ name: 'vision', items: batch, calls: [vision] }] : []),
      { name: 'prefill', items: batch * context, calls: prefill },
      { name: 'decode', items: batch, calls: step(1, done + Math.floor((newTokens - 1) * share)) },
    ],
    ...{ imageTokens, context },
  };
}

/** A graph with all sizes put in. @throws VersusError `usage` naming a dimension that nothing gives. */
function call(graphs: Graphs, name: string, dims: Dims): Call {
  const graph = graphs[name];
  if (!graph) {
    throw new VersusError('unsupported', `the model has no graph ${name}`, {
      where: `graphs ${Object.keys(graphs).join(', ')}`,
    });
  }
  const { types, inputs } = inferTypes(graph, dims);
  for (const input of inputs) {
    const open = input.shape.find((d) => typeof d === 'string');
    if (open === undefined) continue;
    throw new VersusError('usage', `the size of dimension ${open} of input ${input.name} is not given`, {
      where: `graph ${name}`,
      next: `give it with --dim ${open}=N`,
    });
  }
  return { name, graph, dims, types };
}

/** Rows that the first output of a vision graph has per image. */
function rowsOf({ graph, dims, name }: Call, batch: number): number {
  const output = inferShapes(graph, dims).outputs[0]!;
  const sizes = output.shape.slice(0, -1);
  if (!sizes.every((d) => typeof d === 'number')) {
    throw new VersusError('unsupported', `the number of image tokens does not follow from the sizes`, {
      where: `graph ${name}, output ${output.name} [${output.shape.join(', ')}]`,
    });
  }
  return (sizes as number[]).reduce((a, b) => a * b, 1) / batch;
}
