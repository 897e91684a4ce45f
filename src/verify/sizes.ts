import { VersusError } from '../core/errors.ts';
import type { Graph, ValueInfo } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { fixedSize } from '../data/preprocess.ts';
import { bindDim, namesIn, UNKNOWN_RANK } from '../graph/dims.ts';
import type { Dims } from '../workloads/inputs.ts';

/** Places in a cache that a decoder is given where nobody says how many: an empty one would leave reading it untested. */
const PAST = 3;
const BATCH = /^(n|b|bs|batch|.*batch.*|unk__\d+)$/i;

/** What the command line says of sizes. */
export interface Asked {
  readonly batch: number;
  /** By the names of symbolic dimensions; they win over the model's own. */
  readonly dims: Dims;
}

/**
 * Sizes of all symbolic dimensions of a graph's inputs: those asked for, then the model's `dims`, then what its name or place
 * says: the batch, and the channels and pixels of an image that the model's preprocessing makes.
 *
 * @throws VersusError `usage` that asks for every dimension that is left, by name
 */
export function sizesOf(graphName: string, graph: Graph, model: ModelDef, asked: Asked): Dims {
  const sizes: Record<string, number> = { ...asked.dims };
  const open = new Map<string, ValueInfo>();
  for (const input of graph.inputs) {
    if (input.shape[0] === UNKNOWN_RANK) throw noRank(graphName, model, input);
    input.shape.forEach((dim, axis) => {
      if (typeof dim === 'number' || Object.hasOwn(sizes, dim)) return;
      for (const name of namesIn(dim).length > 0 ? namesIn(dim) : [dim]) {
        if (Object.hasOwn(sizes, name)) continue;
        const size = known(name, axis, input, model, asked.batch);
        if (size === undefined) open.set(name, input);
        else sizes[name] = size;
      }
    });
  }
  if (open.size > 0) throw unresolved(graphName, model, open);
  return sizes;
}

function known(name: string, axis: number, input: ValueInfo, model: ModelDef, batch: number) {
  const given = model.dims?.[name];
  if (name === 'past' && !given) return PAST;
  if (given !== undefined) return given;
  const image = input.shape.length === 4 && /float|uint8/.test(input.dtype);
  if (axis === 0 && (BATCH.test(name) || name.startsWith('?') || image)) return batch;
  const pixels = image && model.preprocess ? fixedSize(model.preprocess) : null;
  return pixels ? [3, pixels.height, pixels.width][axis - 1] : undefined;
}

function unresolved(graphName: string, model: ModelDef, open: ReadonlyMap<string, ValueInfo>): VersusError {
  const names = [...open.keys()];
  const [example] = names;
  const many = names.length > 1;
  return new VersusError(
    'usage',
    `the size${many ? 's' : ''} of dimension${many ? 's' : ''} ${names.join(', ')} ${many ? 'are' : 'is'} open`,
    {
      where: `${model.name}, graph ${graphName}: ${[...new Set(open.values())]
        .map((i) => `input ${i.name} [${i.shape.join(', ')}]`)
        .join(', ')}`,
      next: `give ${names.map((n) => `--dim ${quoted(n)}=N`).join(' ')}, or in the config the model's \`dims: { ${JSON.stringify(example)}: N${many ? ', …' : ''} }\``,
    },
  );
}

/** Names of unnamed dimensions (`?input.1`) hold what a shell would read. */
const quoted = (name: string): string => (/^[\w.-]+$/.test(name) ? name : `'${name}'`);

function noRank(graphName: string, model: ModelDef, input: ValueInfo): VersusError {
  return new VersusError('unsupported', `input ${input.name} declares no shape`, {
    where: `${model.name}, graph ${graphName}`,
    next: 'export the model with the number of dimensions of every input',
  });
}

/** An input's shape at sizes. @throws VersusError `usage` for an expression that comes out as no size */
export function shapeAt(input: ValueInfo, sizes: Dims): number[] {
  return input.shape.map((dim) => {
    const size = bindDim(dim, sizes);
    if (typeof size === 'number' && size >= 0) return size;
    throw new VersusError('usage', `dimension ${dim} comes out as ${size}`, {
      where: `input ${input.name} [${input.shape.join(', ')}]`,
    });
  });
}
