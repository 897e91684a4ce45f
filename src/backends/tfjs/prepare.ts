import type { Graph, Param } from '../../core/graph.ts';
import type { Artifact, WeightSource } from '../../core/model.ts';
import { readParam } from '../read-params.ts';
import type { Numbers } from './constants.ts';

/** A graph made ready for an engine, with the numbers of its parameters. */
export interface Prepared {
  readonly graph: Graph;
  readonly numbers: Numbers;
  close(): Promise<void>;
}

/** Plans a graph once: see transform/optimise.ts. */
export async function prepared(graph: Graph, artifact: Artifact, _level: string): Promise<Prepared> {
  let source: Promise<WeightSource> | undefined;
  const numbers: Numbers = {
    async read(param: Param) {
      if (param.data) return { dtype: param.dtype, shape: param.shape, data: param.data };
      source ??= artifact.weights();
      return readParam(await source, param);
    },
  };
  return { graph, numbers, close: async () => (await source)?.close() };
}
