import type { OpenOptions } from '../../core/backend.ts';
import type { Graph } from '../../core/graph.ts';
import type { Artifact, WeightSource } from '../../core/model.ts';
import { type Numbers, optimise } from '../../transform/optimise.ts';
import { readParam } from '../read-params.ts';

/** A graph made ready for an engine, with the numbers of its parameters. */
export interface Prepared {
  readonly graph: Graph;
  readonly numbers: Numbers;
  close(): Promise<void>;
}

/** Plans a graph once: constants folded, normalisations into weights, biases and activations into products, and so on. */
export async function prepared(
  graph: Graph,
  artifact: Artifact,
  level: NonNullable<OpenOptions['optimisation']>,
): Promise<Prepared> {
  let source: Promise<WeightSource> | undefined;
  const numbers: Numbers = {
    async read(param) {
      if (param.data) return { dtype: param.dtype, shape: param.shape, data: param.data };
      source ??= artifact.weights();
      return readParam(await source, param);
    },
  };
  const close = async (): Promise<void> => (await source)?.close();
  try {
    const ready = await optimise(graph, numbers, { level: level === 'extended' ? 'all' : level });
    return { graph: ready, numbers, close };
  } catch (error) {
    await close();
    throw error;
  }
}
