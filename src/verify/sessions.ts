import type { Backend, OpenOptions, Session } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Artifact } from '../core/model.ts';
import type { Tensors } from '../core/tensor.ts';
import { openArtifact } from '../weights/index.ts';

/** A model's graphs on one backend, each opened when it is first run. */
export class Sessions {
  readonly #backend: Backend;
  readonly #artifacts: Readonly<Record<string, Artifact>>;
  readonly #options: OpenOptions;
  readonly #open = new Map<string, Session>();

  constructor(backend: Backend, artifacts: Readonly<Record<string, Artifact>>, options: OpenOptions) {
    this.#backend = backend;
    this.#artifacts = artifacts;
    this.#options = options;
  }

  async session(graph: string): Promise<Session> {
    const known = this.#open.get(graph);
    if (known) return known;
    const artifact = this.#artifacts[graph];
    if (!artifact) throw new VersusError('input', `the model has no graph ${graph}`);
    const session = await openArtifact(this.#backend, artifact, this.#options);
    this.#open.set(graph, session);
    return session;
  }

  async run(graph: string, feeds: Tensors): Promise<Tensors> {
    return (await this.session(graph)).run(feeds);
  }

  async close(): Promise<void> {
    for (const session of this.#open.values()) await session.close();
    this.#open.clear();
  }
}
