import type * as Ort from 'onnxruntime-node';
import type { NodeTime, OpenOptions, Placement } from '../../core/backend.ts';
import { VersusError } from '../../core/errors.ts';
import type { ValueInfo } from '../../core/graph.ts';
import type { Artifact } from '../../core/model.ts';
import { explain } from './errors.ts';
import { type ProviderOptions, recordedOptions, sessionOptions } from './options.ts';
import { placementOf } from './placement.ts';
import { type NodeRun, nodeRuns, nodeTimes, type ProfileFolder, profileFolder } from './profile.ts';
import type { Provider } from './provider.ts';
import { loadRuntime, type Runtime } from './runtime.ts';
import { isStopped, type Stopping } from './stopping.ts';
import { describeValues } from './tensors.ts';

/** A session of the runtime with its profile: what the sessions for host tensors and for residents have in common. */
export class NativeSession {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly options: Readonly<Record<string, string | number | boolean | null>>;
  readonly runtime: Runtime;
  readonly where: string;
  readonly #session: Ort.InferenceSession;
  readonly #provider: Provider;
  readonly #strict: boolean;
  readonly #profile: ProfileFolder | null;
  readonly #stopping: Stopping | undefined;
  #recorded: Promise<readonly NodeRun[]> | undefined;
  #ran = false;
  #closed = false;

  /**
   * Loads an artifact's file (external data beside it) on one provider.
   *
   * @param keep outputs that stay in the provider's memory
   * @param stopping what is run in place of the file, by `runInto` alone
   * @throws VersusError `unsupported` (operator, opset or element type, with the node), `input` (not a valid model) or
   *   `infrastructure` (provider not there, out of memory).
   */
  static async open(
    provider: Provider,
    own: ProviderOptions,
    artifact: Artifact,
    open: OpenOptions,
    keep: readonly string[] = [],
    stopping?: Stopping,
  ): Promise<NativeSession> {
    const where = `${artifact.model}/${artifact.graphName} (${artifact.path})`;
    const runtime = await loadRuntime();
    const profile = open.prove ? await profileFolder() : null;
    let session: Ort.InferenceSession | undefined;
    try {
      const options = sessionOptions(provider, own, open, { profilePrefix: profile?.prefix ?? null, keep });
      session = stopping
        ? await runtime.InferenceSession.create(stopping.bytes, besideWeights(options, stopping.folder))
        : await runtime.InferenceSession.create(artifact.path, options);
      const recorded = recordedOptions(provider, own, open, keep);
      const strict = own.strict ?? false;
      return new NativeSession(session, runtime, provider, strict, recorded, profile, where, stopping);
    } catch (error) {
      await session?.release().catch(() => {});
      await profile?.remove();
      throw explain(error, provider, where);
    }
  }

  private constructor(
    session: Ort.InferenceSession,
    runtime: Runtime,
    provider: Provider,
    strict: boolean,
    options: NativeSession['options'],
    profile: ProfileFolder | null,
    where: string,
    stopping: Stopping | undefined,
  ) {
    this.#session = session;
    this.#provider = provider;
    this.#strict = strict;
    this.#profile = profile;
    this.#stopping = stopping;
    this.runtime = runtime;
    this.options = options;
    this.where = where;
    this.inputs = describeValues(session.inputMetadata);
    this.outputs = describeValues(session.outputMetadata.filter((o) => o.name !== stopping?.stop));
  }

  /** @throws VersusError `infrastructure` when the session is closed */
  checkOpen(): void {
    if (this.#closed) throw new VersusError('infrastructure', 'the session is closed', { where: this.where });
  }

  async run(
    feeds: Record<string, Ort.Tensor>,
    fetch: readonly string[] | Readonly<Record<string, Ort.Tensor | null>>,
  ): Promise<Record<string, Ort.Tensor>> {
    let results: Ort.InferenceSession.ReturnType;
    try {
      results = await this.#session.run(feeds, fetch);
    } catch (error) {
      throw explain(error, this.#provider, this.where);
    }
    this.#ran = true;
    return results as Record<string, Ort.Tensor>;
  }

  /** Runs what stops: all results are in the tensors that are given for them. */
  async runInto(feeds: Record<string, Ort.Tensor>, results: Record<string, Ort.Tensor>): Promise<void> {
    try {
      await this.#session.run(feeds, { [this.#stopping!.stop]: null, ...results });
    } catch (error) {
      if (!isStopped(error)) throw explain(error, this.#provider, this.where);
    }
    this.#ran = true;
  }

  async placement(): Promise<Placement | null> {
    if (this.#profile !== null) {
      const recorded = await this.#record(this.#profile);
      return recorded && placementOf(recorded, this.#provider);
    }
    if (this.#provider === 'cpu') return { nodes: {}, share: 1, method: 'single', strays: [] };
    if (this.#strict) return { nodes: {}, share: 1, method: 'strict', strays: [] };
    return null;
  }

  async profile(): Promise<readonly NodeTime[] | null> {
    const recorded = this.#profile && (await this.#record(this.#profile));
    return recorded && nodeTimes(recorded);
  }

  /** Ends the recording when it is first asked for; null before anything ran. */
  #record(folder: ProfileFolder): Promise<readonly NodeRun[]> | null {
    if (this.#recorded === undefined && (!this.#ran || this.#closed)) return null;
    this.#recorded ??= (async () => {
      this.#session.endProfiling();
      const added = this.#stopping?.added;
      return nodeRuns(await folder.read()).filter(({ name }) => !added?.has(name));
    })();
    return this.#recorded;
  }

  /** @param before frees what must go while the session is still there */
  async close(before: () => void = () => {}): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#recorded?.catch(() => {});
    // Ends the profile if nobody read it, so that the file is complete before its folder goes.
    if (this.#profile !== null && this.#recorded === undefined) this.#session.endProfiling();
    before();
    await this.#session.release();
    await this.#profile?.remove();
  }
}

/** Options for a graph that lies in no file, while its weights do. */
function besideWeights(
  options: Ort.InferenceSession.SessionOptions,
  folder: string,
): Ort.InferenceSession.SessionOptions {
  const extra = options.extra as Record<string, Record<string, string>> | undefined;
  const session = { ...extra?.session, model_external_initializers_file_folder_path: folder };
  return { ...options, extra: { ...extra, session } };
}
