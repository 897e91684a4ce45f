import type * as Ort from 'onnxruntime-node';
import type { OpenOptions, Session } from '../../core/backend.ts';
import type { Artifact } from '../../core/model.ts';
import type { Tensors } from '../../core/tensor.ts';
import { checkFeeds, checkFetch } from '../feeds.ts';
import { NativeSession } from './native.ts';
import type { ProviderOptions } from './options.ts';
import type { Provider } from './provider.ts';
import { fromRuntime, tensorWrapper } from './tensors.ts';

/**
 * A session that takes and gives tensors on the host.
 *
 * @throws VersusError as `NativeSession.open`
 */
export async function openSession(
  provider: Provider,
  own: ProviderOptions,
  artifact: Artifact,
  open: OpenOptions,
): Promise<Session> {
  const native = await NativeSession.open(provider, own, artifact, open);
  const { inputs, outputs, where } = native;
  const wrap = tensorWrapper(native.runtime);
  const everyOutput = outputs.map((output) => output.name);
  const moved = { to_device: 0, to_host: 0 };
  return {
    inputs,
    outputs,
    options: native.options,
    ...(provider === 'cpu' && { writesInto: true as const }),
    async run(feeds: Tensors, fetch?: readonly string[], into: Tensors = {}) {
      native.checkOpen();
      checkFeeds(where, inputs, feeds);
      if (fetch !== undefined) checkFetch(where, outputs, fetch);
      const fed: Record<string, Ort.Tensor> = {};
      for (const { name } of inputs) {
        fed[name] = wrap(feeds[name]!);
        moved.to_device += feeds[name]!.data.byteLength;
      }
      const wanted = fetch ?? everyOutput;
      // The CPU's kernels write to the memory that they are given; other providers would copy there.
      const places =
        provider === 'cpu' && Object.keys(into).length > 0
          ? Object.fromEntries(wanted.map((name) => [name, into[name] ? wrap(into[name]) : null]))
          : wanted;
      const results = await native.run(fed, places);
      const tensors: Tensors = {};
      for (const name in results) {
        const tensor = fromRuntime(results[name]!);
        tensors[name] = tensor;
        moved.to_host += tensor.data.byteLength;
      }
      return tensors;
    },
    placement: () => native.placement(),
    profile: () => native.profile(),
    traffic: () => ({ ...moved, resident: 0 }),
    close: () => native.close(),
  };
}
