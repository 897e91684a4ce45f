import type { OpenOptions } from '../../core/backend.ts';
import type { Graph, Param } from '../../core/graph.ts';
import type { Artifact, WeightSource } from '../../core/model.ts';
import { Room, readParam } from '../../core/read-param.ts';
import type { Tensor } from '../../core/tensor.ts';
import { type Numbers, optimise } from '../../transform/optimise.ts';

/** Numbers of parameters, for those who need them one after the other. */
export interface Weights extends Numbers {
  /** As `read`, into memory that the `borrow` after the next writes over; where numbers lie in memory anyway, it is left out. */
  borrow?(param: Param): Promise<Tensor>;
}

/** A graph made ready for an engine, with the numbers of its parameters. */
export interface Prepared {
  /** Without its parameters. */
  readonly graph: Graph;
  readonly params: Param[];
  readonly numbers: Weights;
  close(): Promise<void>;
}

/** Plans a graph once: constants folded, normalisations into weights, biases and activations into products, and so on. */
export async function prepared(
  graph: Graph,
  artifact: Artifact,
  level: NonNullable<OpenOptions['optimisation']>,
): Promise<Prepared> {
  let source: Promise<WeightSource> | undefined;
  const derived = new Map<string, (numbers: Numbers) => Promise<Tensor>>();
  const reading = (room?: Room): Numbers => {
    const own: Numbers = {
      async read(param) {
        if (param.data) return { dtype: param.dtype, shape: param.shape, data: param.data };
        const make = derived.get(param.name);
        if (make) return make(own);
        source ??= artifact.weights();
        return readParam(await source, param, room);
      },
    };
    return own;
  };
  const lenders = [reading(new Room()), reading(new Room())] as const;
  let lent = 0;
  const numbers: Weights = {
    ...reading(),
    borrow: (param) => lenders[lent++ % 2]!.read(param),
    derive: (name, make) => {
      derived.set(name, make);
    },
  };
  const close = async (): Promise<void> => (await source)?.close();
  try {
    const ready = await optimise(graph, numbers, { level: level === 'extended' ? 'all' : level });
    return { graph: { ...ready, params: [] }, params: [...ready.params], numbers, close };
  } catch (error) {
    await close();
    throw error;
  }
}
