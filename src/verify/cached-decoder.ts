import { type Tensor, type Tensors, tensor } from '../core/tensor.ts';
import type { Sessions } from './sessions.ts';
import { counting, filled, joined } from './tokens.ts';

/** Where the new positions of a step are and what they may see; both follow from the cache when left out. */
export interface Places {
  /** [batch, past + sequence] */
  readonly mask?: Tensor | undefined;
  /** [batch, sequence], or [axes, batch, sequence] */
  readonly positions?: Tensor | undefined;
}

/** Positions of `length` new tokens behind `past` cached ones. */
type PositionRule = (batch: number, past: number, length: number) => Tensor;

/** A decoder graph that remembers its keys and values from step to step. */
export class CachedDecoder {
  readonly #sessions: Sessions;
  readonly #graph: string;
  /** `input_ids` or `inputs_embeds`. */
  readonly #input: string;
  readonly #positions: PositionRule;
  #cache: Tensors | null = null;
  #mask: Tensor | null = null;

  /** @param positions of steps that say none; counted on behind the cache when left out */
  constructor(sessions: Sessions, graph: string, input: string, positions: PositionRule = counting) {
    this.#sessions = sessions;
    this.#graph = graph;
    this.#input = input;
    this.#positions = positions;
  }

  /** Feeds the next positions of every sequence, [batch, sequence, …]; their logits. */
  async step(next: Tensor, places: Places = {}): Promise<Tensor> {
    const [batch = 0, length = 0] = next.shape;
    const past = this.#mask?.shape[1] ?? 0;
    const fresh = filled(batch, length, 1);
    this.#mask = places.mask ?? (this.#mask ? joined([this.#mask, fresh]) : fresh);
    const feeds: Tensors = {
      [this.#input]: next,
      attention_mask: this.#mask,
      position_ids: places.positions ?? this.#positions(batch, past, length),
      ...(this.#cache ?? (await this.#emptyCache(batch))),
    };
    const { logits, ...present } = await this.#sessions.run(this.#graph, feeds);
    this.#cache = Object.fromEntries(
      Object.entries(present).map(([name, t]) => [name.replace(/^present\./, 'past_key_values.'), t]),
    );
    return logits!;
  }

  /** Keys and values so far under `past_key_values.` or `present.`, both names of which references use. */
  cache(prefix: 'past_key_values.' | 'present.'): Tensors {
    return Object.fromEntries(
      Object.entries(this.#cache ?? {}).map(([name, t]) => [name.replace('past_key_values.', prefix), t]),
    );
  }

  async #emptyCache(batch: number): Promise<Tensors> {
    const { inputs } = await this.#sessions.session(this.#graph);
    return Object.fromEntries(
      inputs
        .filter((input) => input.name.startsWith('past_key_values.'))
        .map(({ name, shape }) => [
          name,
          tensor('float32', [batch, Number(shape[1]), 0, Number(shape[3])], new Float32Array(0)),
        ]),
    );
  }
}
