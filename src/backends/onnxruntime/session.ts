import type * as Ort from 'onnxruntime-node';
import type { OpenOptions, Placement, Session } from '../../core/backend.ts';
import { VersusError } from '../../core/errors.ts';
import type { ValueInfo } from '../../core/graph.ts';
import type { Artifact } from '../../core/model.ts';
import type { Tensors } from '../../core/tensor.ts';
import { checkFeeds, checkFetch } from '../feeds.ts';
import { explain } from './errors.ts';
import { type ProviderOptions, recordedOptions, sessionOptions } from './options.ts';
import { type ProfileFolder, placementFromProfile, profileFolder } from './placement.ts';
import type { Provider } from './provider.ts';
import { loadRuntime } from './runtime.ts';
import { describeValues, fromRuntime, tensorWrapper } from './tensors.ts';

/**
 * Loads an artifact's file (external data beside it) on one provider.
 *
 * @throws VersusError `unsupported` (operator, opset or element type, with the node), `input` (not a valid model) or
 *   `infrastructure` (provider not there, out of memory).
 */
export async function openSession(
  provider: Provider,
  own: ProviderOptions,
  artifact: Artifact,
  open: OpenOptions,
): Promise<Session> {
  const where = `${artifact.model}/${artifact.graphName} (${artifact.path})`;
  const runtime = await loadRuntime();
  const profile = open.prove ? await profileFolder() : null;
  let native: Ort.InferenceSession | undefined;
  try {
    native = await runtime.InferenceSession.create(
      artifact.path,
      sessionOptions(provider, own, open, profile?.prefix ?? null),
    );
    const inputs = describeValues(native.inputMetadata);
    const outputs = describeValues(native.outputMetadata);
    const names = { inputs, outputs, where };
    return sessionOver(native, runtime, provider, own, open, names, profile);
  } catch (error) {
    await native?.release().catch(() => {});
    await profile?.remove();
    throw explain(error, provider, where);
  }
}

interface Names {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly where: string;
}

function sessionOver(
  native: Ort.InferenceSession,
  runtime: Awaited<ReturnType<typeof loadRuntime>>,
  provider: Provider,
  own: ProviderOptions,
  open: OpenOptions,
  { inputs, outputs, where }: Names,
  profile: ProfileFolder | null,
): Session {
  const wrap = tensorWrapper(runtime);
  const everyOutput = outputs.map((output) => output.name);
  let closed = false;
  let ran = false;
  let proven: Promise<Placement | null> | undefined;

  async function readPlacement(folder: ProfileFolder): Promise<Placement | null> {
    native.endProfiling();
    return placementFromProfile(await folder.read(), provider);
  }

  return {
    inputs,
    outputs,
    options: recordedOptions(provider, own, open),
    async run(feeds: Tensors, fetch?: readonly string[]) {
      if (closed) throw new VersusError('infrastructure', 'the session is closed', { where });
      checkFeeds(where, inputs, feeds);
      if (fetch !== undefined) checkFetch(where, outputs, fetch);
      const fed: Record<string, Ort.Tensor> = {};
      for (const input of inputs) fed[input.name] = wrap(feeds[input.name]!);
      let results: Ort.InferenceSession.ReturnType;
      try {
        results = await native.run(fed, fetch ?? everyOutput);
      } catch (error) {
        throw explain(error, provider, where);
      }
      ran = true;
      const tensors: Tensors = {};
      for (const name in results) tensors[name] = fromRuntime(results[name]! as Ort.Tensor);
      return tensors;
    },
    async placement() {
      if (profile !== null) {
        if (proven === undefined && (!ran || closed)) return null;
        proven ??= readPlacement(profile);
        return proven;
      }
      if (provider === 'cpu') return { nodes: {}, share: 1, method: 'single', strays: [] };
      if (own.strict) return { nodes: {}, share: 1, method: 'strict', strays: [] };
      return null;
    },
    async close() {
      if (closed) return;
      closed = true;
      await proven?.catch(() => {});
      // Ends the profile if nobody read it, so that the file is complete before its folder goes.
      if (profile !== null && proven === undefined) native.endProfiling();
      await native.release();
      await profile?.remove();
    },
  };
}
