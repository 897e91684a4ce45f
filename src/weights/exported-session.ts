import type { Backend, Feeds, OpenOptions, Session } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ValueInfo } from '../core/graph.ts';
import type { Artifact } from '../core/model.ts';
import { type Tensor, tensor } from '../core/tensor.ts';
import { isTensor } from '../core/through-host.ts';

/** Output that a graph of ours hands on, by what exporters call it, the most telling first. */
const HANDED_ON: Readonly<Record<string, { readonly ours: string; readonly theirs: readonly string[] }>> = {
  vision: { ours: 'image_embeds', theirs: ['image_features', 'image_embeds', 'pooler_output'] },
  text: { ours: 'text_embeds', theirs: ['text_embeds', 'pooler_output'] },
};
/** Outputs that stand beside the one that is handed on, in every kind of exported encoder. */
const BESIDE = /^(last_hidden_state|hidden_states\.|attentions\.|pooler_output$)/;

const PAST = 'past_key_values.';

/**
 * Inputs that exporters add to a graph and that follow from what it is fed anyway.
 * - `use_cache_branch` (optimum's merged decoders): whether there is anything in the cache;
 * - `num_logits_to_keep` (transformers.js's decoders): the last position's logits are enough;
 * - `image_grid_thw` (Qwen2-VL's tower): time, height and width of the grid whose places `patch_positions` lists.
 */
const DERIVED: Readonly<Record<string, (info: ValueInfo, feeds: Feeds) => Tensor | null>> = {
  use_cache_branch: (info, feeds) => {
    const past = Object.entries(feeds).find(([name]) => name.startsWith(PAST))?.[1];
    return whole(info, [(past?.shape.at(-2) ?? 0) > 0 ? 1 : 0]);
  },
  num_logits_to_keep: (info) => whole(info, [1]),
  image_grid_thw: (info, feeds) => {
    const places = feeds.patch_positions;
    if (!places || !isTensor(places)) return null;
    const edge = (axis: number): number => {
      let most = -1;
      for (let i = axis; i < places.data.length; i += 2) most = Math.max(most, Number(places.data[i]));
      return most + 1;
    };
    const images = feeds.pixel_values?.shape.length === 3 ? feeds.pixel_values.shape[0]! : 1;
    return whole(info, Array.from({ length: images }, () => [1, edge(0), edge(1)]).flat(), [images, 3]);
  },
};

/** Whole numbers in an input's own type; its declared shape, open dimensions 1, unless said otherwise. */
function whole(info: ValueInfo, values: readonly number[], shape?: readonly number[]): Tensor {
  const sizes = shape ?? info.shape.map((dim) => (typeof dim === 'number' ? dim : 1));
  const small = info.dtype === 'bool' ? Uint8Array.from(values) : BigInt64Array.from(values.map(BigInt));
  const data = info.dtype === 'int32' ? Int32Array.from(values) : small;
  return tensor(info.dtype, sizes, data);
}

/**
 * Opens an artifact so that workloads meet the names of `ModelDef` whoever wrote the file. Our own artifacts are opened
 * as they are; in front of a foreign one stands what exporters name or ask otherwise, and nothing else: no tensor is
 * copied or computed on the way.
 */
export async function openArtifact(
  backend: Backend,
  artifact: Artifact,
  options: OpenOptions,
): Promise<Session> {
  const session = await backend.open(artifact, options);
  if (!artifact.foreign) return session;
  try {
    return exported(session, artifact.graphName);
  } catch (error) {
    await session.close();
    throw error;
  }
}

/**
 * A session of an exported file under our names.
 * @throws VersusError `unsupported` naming an input that nothing feeds: the embedding of Phi-3-vision's export wants image
 * features, for example
 */
export function exported(session: Session, graphName: string): Session {
  const stray = graphName === 'embed' && session.inputs.find((info) => info.name !== 'input_ids');
  if (stray) throw unfed(stray, graphName);
  const { own: asked, complete } = derivation(session.inputs, graphName);
  const main = mainOutput(session.outputs, graphName);
  if (asked.length === session.inputs.length && !main) return session;
  const ours = main ? [{ ...main.info, name: main.name }] : session.outputs;
  const grid = session.inputs.find((info) => info.name === 'image_grid_thw');
  const own = graphName === 'text' ? asked.map(tokens) : asked;
  const inputs: readonly ValueInfo[] = grid
    ? [...own, { name: 'patch_positions', dtype: 'int64', shape: ['patches', 2] }]
    : own;
  return {
    inputs,
    outputs: ours,
    options: session.options,
    placement: () => session.placement(),
    ...(session.profile && { profile: () => session.profile!() }),
    ...(session.traffic && { traffic: () => session.traffic!() }),
    close: () => session.close(),
    async run(feeds, fetch) {
      const all = complete(feeds);
      if (grid) {
        delete all.patch_positions;
        const { pixel_values: pixels } = all;
        // Their tower takes the patches of all images in one row.
        if (pixels?.shape.length === 3) {
          all.pixel_values = tensor(
            pixels.dtype,
            [pixels.shape[0]! * pixels.shape[1]!, pixels.shape[2]!],
            pixels.data,
          );
        }
      }
      const outputs = await session.run(all, main ? [main.info.name] : fetch);
      return main ? { [main.name]: outputs[main.info.name]! } : outputs;
    },
  };
}

/**
 * What of an exported graph's inputs a caller feeds, and the rest from that.
 * @throws VersusError `unsupported`, by `complete`, for an input that does not follow from what is fed
 */
export function derivation(
  inputs: readonly ValueInfo[],
  graphName: string,
): { readonly own: readonly ValueInfo[]; complete<F extends Feeds>(feeds: F): F } {
  const derived = inputs.filter((info) => Object.hasOwn(DERIVED, info.name));
  return {
    own: inputs.filter((info) => !derived.includes(info)),
    complete(feeds) {
      const values = derived.map((info) => {
        const value = DERIVED[info.name]!(info, feeds);
        if (!value) throw unfed(info, graphName);
        return [info.name, value] as const;
      });
      return { ...feeds, ...Object.fromEntries(values) };
    },
  };
}

/** [batch, sequence] under our names, by which a model says how long its texts are. */
function tokens(info: ValueInfo): ValueInfo {
  const names = ['batch', 'sequence'];
  return {
    ...info,
    shape: info.shape.map((dim, axis) => (typeof dim === 'string' ? (names[axis] ?? dim) : dim)),
  };
}

/** The one output of an encoder that is handed on, where there are several or it goes by another name. */
function mainOutput(
  outputs: readonly ValueInfo[],
  graphName: string,
): { readonly info: ValueInfo; readonly name: string } | null {
  const known = HANDED_ON[graphName];
  if (!known) return null;
  for (const theirs of known.theirs) {
    const info = outputs.find((o) => o.name === theirs);
    if (!info) continue;
    const strange = outputs.some((o) => o !== info && !BESIDE.test(o.name));
    if (strange) return null;
    return { info, name: theirs === 'pooler_output' ? known.ours : theirs };
  }
  return null;
}

function unfed(info: ValueInfo, graphName: string): VersusError {
  return new VersusError('unsupported', `nothing feeds the input ${info.name} of this exported graph`, {
    where: `graph ${graphName}: ${info.name} ${info.dtype} [${info.shape.join(', ')}]`,
    next: 'export the graph without this input',
  });
}
