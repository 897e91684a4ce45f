import type { Opened, Resident } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Graph, ValueInfo } from '../core/graph.ts';
import type { Tensor, Tensors } from '../core/tensor.ts';
import { allocate, elementCount, fromFloat16, tensor } from '../core/tensor.ts';
import { asInts, type Dims, inputNamed } from './inputs.ts';

export const PAST = 'past_key_values.';

/** Keys and values by their `past_key_values.*` names, on the host or where they were computed, and how many positions they hold. */
export interface Cache<V extends Tensor | Resident = Tensor | Resident> {
  readonly length: number;
  /** How far positions are from places in the cache, where an image takes fewer positions than tokens; 0 when left out. */
  readonly shift?: number;
  readonly tensors: Readonly<Record<string, V>>;
}

/** Sizes of one call: new tokens per sequence and cached ones. */
export interface Call {
  readonly batch: number;
  readonly sequence: number;
  readonly past: number;
}

/** The shape that an input of a decoder graph takes in a call; null for one that no call feeds. */
function shapeOf(info: ValueInfo, { batch, sequence, past }: Call, model: Dims): number[] | null {
  const size = (axis: number): number => {
    const dim = info.shape[axis];
    const known = typeof dim === 'string' ? model[dim] : dim;
    if (known !== undefined) return known;
    throw new VersusError('unsupported', `the size of axis ${axis} of ${info.name} is open`, {
      where: `input ${info.name} [${info.shape.join(', ')}]`,
      next: 'export the cache with static head count and head size, or give the model `dims`',
    });
  };
  if (info.name === 'input_ids') return [batch, sequence];
  if (info.name === 'inputs_embeds') return [batch, sequence, size(2)];
  if (info.name === 'attention_mask') return [batch, past + sequence];
  // Models with several position axes (M-RoPE) take [axes, batch, sequence]; for text all axes are equal.
  if (info.name === 'position_ids') {
    return info.shape.length === 3 ? [size(0), batch, sequence] : [batch, sequence];
  }
  if (info.name.startsWith(PAST)) return [batch, size(1), past, size(3)];
  return null;
}

/**
 * Values of a graph's symbolic dimensions in a call, by matching the declared shapes of its inputs with the ones fed.
 * @throws VersusError `unsupported` for an input that isn't one of a decoder's.
 */
export function dimsOfCall(graph: Pick<Graph, 'inputs'>, call: Call, model: Dims = {}): Dims {
  const dims: Record<string, number> = { ...model };
  for (const info of graph.inputs) {
    const shape = shapeOf(info, call, model);
    if (!shape) {
      // Nothing to learn from a switch of fixed size; whether something feeds it shows when the session is opened.
      if (info.shape.every((dim) => typeof dim === 'number')) continue;
      throw strange(info);
    }
    info.shape.forEach((dim, axis) => {
      if (typeof dim === 'string') dims[dim] = shape[axis]!;
    });
  }
  return dims;
}

/** An input that no call of ours feeds. */
export function strange(info: ValueInfo): VersusError {
  return new VersusError('unsupported', `a decoder input that is not understood: ${info.name}`, {
    next:
      'known are input_ids, inputs_embeds, attention_mask, position_ids and past_key_values.N.key/value; behind an ' +
      'encoder also encoder_attention_mask and past_key_values.N.encoder/decoder.key/value',
  });
}

/** A decoder with nothing cached yet. */
export function emptyCache(decoder: Opened, batch: number, model: Dims = {}): Cache<Tensor> {
  const tensors: Tensors = {};
  for (const info of decoder.inputs) {
    if (!info.name.startsWith(PAST)) continue;
    const shape = shapeOf(info, { batch, sequence: 0, past: 0 }, model)!;
    tensors[info.name] = tensor(info.dtype, shape, allocate(info.dtype, elementCount(shape)));
  }
  return { length: 0, tensors };
}

/** The cache after a call: every `present.N.key` becomes `past_key_values.N.key`. */
export function advance<V extends Tensor | Resident>(
  cache: Cache,
  outputs: Readonly<Record<string, V>>,
  sequence: number,
): Cache<V> {
  const tensors: Record<string, V> = {};
  for (const name of Object.keys(cache.tensors)) {
    const present = outputs[name.replace(PAST, 'present.')];
    if (!present) {
      throw new VersusError('unsupported', `the decoder returns no cache for ${name}`, {
        next: `export it with an output ${name.replace(PAST, 'present.')}`,
      });
    }
    tensors[name] = present;
  }
  return { ...cache, length: cache.length + sequence, tensors };
}

/**
 * What a decoder is fed for `sequence` new tokens behind a cache: all tokens visible, positions counted on. `own` is the
 * call's input_ids or inputs_embeds.
 */
export function decoderFeeds<V extends Tensor | Resident = Tensor>(
  decoder: Pick<Opened, 'inputs'>,
  cache: Cache<V>,
  call: Omit<Call, 'past'>,
  own: Tensors,
  model: Dims = {},
): Record<string, Tensor | V> {
  const feeds: Record<string, Tensor | V> = {};
  for (const info of decoder.inputs) {
    const given: Tensor | V | undefined = own[info.name] ?? cache.tensors[info.name];
    if (given) {
      feeds[info.name] = given;
      continue;
    }
    const shape = shapeOf(info, { ...call, past: cache.length }, model);
    const values =
      info.name === 'attention_mask'
        ? () => 1
        : info.name === 'position_ids'
          ? (i: number) => cache.length + (cache.shift ?? 0) + (i % call.sequence)
          : null;
    // inputs_embeds comes from another graph inside the timed step.
    if (info.name === 'inputs_embeds') continue;
    if (!shape || !values) throw strange(info);
    feeds[info.name] = asInts(
      info.dtype,
      shape,
      Array.from({ length: elementCount(shape) }, (_, i) => values(i)),
    );
  }
  return feeds;
}

/** Token ids [batch, sequence] in the type that a graph's input_ids wants. */
export function idsFor(session: Opened, batch: number, ids: readonly number[]): Tensor {
  return asInts(inputNamed(session, 'input_ids').dtype, [batch, ids.length / batch], ids);
}

/** The value of a graph's first output. @throws VersusError `unsupported` when there is none. */
export function onlyOutput(session: Opened, outputs: Tensors): Tensor {
  const value = outputs[session.outputs[0]?.name ?? ''];
  if (!value) throw new VersusError('unsupported', 'the graph returned no output');
  return value;
}

/** Logits [batch, sequence, vocabulary] → those of the last position [batch, vocabulary]. */
export function lastLogits(outputs: Tensors): Tensor {
  const { logits } = outputs;
  if (logits?.shape.length !== 3) {
    throw new VersusError('unsupported', 'the decoder has no output logits [batch, sequence, vocabulary]', {
      next: `it returned ${Object.keys(outputs).join(', ')}`,
    });
  }
  const [batch, sequence, vocabulary] = logits.shape as [number, number, number];
  const out = allocate(logits.dtype, batch * vocabulary);
  for (let b = 0; b < batch; b++) {
    const from = ((b + 1) * sequence - 1) * vocabulary;
    out.set(logits.data.subarray(from, from + vocabulary) as never, b * vocabulary);
  }
  return tensor(logits.dtype, [batch, vocabulary], out);
}

/** Greedy choice: the largest logit of every row, the lowest id among equals. */
export function greedy(logits: Tensor): number[] {
  const [batch, vocabulary] = logits.shape as [number, number];
  const half = logits.dtype === 'float16';
  return Array.from({ length: batch }, (_, b) => {
    let best = 0;
    let high = Number.NEGATIVE_INFINITY;
    for (let v = 0; v < vocabulary; v++) {
      const raw = Number(logits.data[b * vocabulary + v]!);
      const value = half ? fromFloat16(raw) : raw;
      if (value > high) {
        high = value;
        best = v;
      }
    }
    return best;
  });
}
