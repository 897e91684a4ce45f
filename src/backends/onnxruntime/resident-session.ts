import type * as Ort from 'onnxruntime-node';
import type { Feeds, OpenOptions, ResidentSession, Residents } from '../../core/backend.ts';
import { VersusError } from '../../core/errors.ts';
import type { Artifact } from '../../core/model.ts';
import { ResidentStore } from '../../core/residents.ts';
import type { Tensors } from '../../core/tensor.ts';
import { donatedTensors, isTensor } from '../../core/through-host.ts';
import { checkFeeds, checkFetch } from '../feeds.ts';
import { NativeSession } from './native.ts';
import type { ProviderOptions } from './options.ts';
import { fromRuntime, tensorWrapper } from './tensors.ts';
import { onGpu, Transfer } from './transfer.ts';

/**
 * A session on webgpu whose kept outputs stay in buffers of the GPU and are fed from there.
 *
 * @throws VersusError as `NativeSession.open`; `input` for an unknown output in `keep`, `unsupported` for one of an element
 *   type that the runtime cannot leave on the GPU
 */
export async function openResidentSession(
  own: ProviderOptions,
  artifact: Artifact,
  open: OpenOptions,
  keep: readonly string[],
): Promise<ResidentSession> {
  const native = await NativeSession.open('webgpu', own, artifact, open, keep);
  const { inputs, outputs, where, runtime } = native;
  const wrap = tensorWrapper(runtime);
  const everyOutput = outputs.map((output) => output.name);
  const store = new ResidentStore<Ort.Tensor>('onnxruntime-webgpu', where);
  const transfer = new Transfer(runtime);
  const moved = { to_device: 0, to_host: 0 };
  const hold = (tensor: Ort.Tensor) =>
    store.hold(tensor, { dtype: tensor.type as never, shape: tensor.dims }, () => tensor.dispose());

  const strange = outputs.find((output) => keep.includes(output.name) && !onGpu(output.dtype));
  if (strange) {
    await native.close();
    throw new VersusError(
      'unsupported',
      `output '${strange.name}' of ${strange.dtype} cannot stay on the GPU`,
      {
        where,
      },
    );
  }

  return {
    inputs,
    outputs,
    keep,
    overwrites: false,
    options: native.options,
    async run(feeds: Feeds, fetch?: readonly string[], donated: Readonly<Residents> = {}) {
      native.checkOpen();
      checkFeeds(where, inputs, feeds);
      if (fetch !== undefined) checkFetch(where, outputs, fetch);
      const fed: Record<string, Ort.Tensor> = {};
      let bytes = 0;
      for (const { name } of inputs) {
        const value = feeds[name]!;
        fed[name] = isTensor(value) ? wrap(value) : store.native(value, `input '${name}'`);
        if (isTensor(value)) bytes += value.data.byteLength;
      }
      // All outputs, whatever is fetched: the binding (1.30) keeps those of the first run and mixes up their places in others.
      donatedTensors(store, donated, keep);
      const results = await native.run(fed, everyOutput);
      for (const resident of Object.values(donated)) resident.dispose();
      moved.to_device += bytes;
      const host: Tensors = {};
      const kept: Residents = {};
      for (const name in results) {
        const asked = fetch?.includes(name) ?? true;
        if (keep.includes(name)) {
          if (asked) kept[name] = hold(results[name]!);
          else results[name]!.dispose();
        } else {
          const tensor = fromRuntime(results[name]!);
          moved.to_host += tensor.data.byteLength;
          if (asked) host[name] = tensor;
        }
      }
      return { host, kept };
    },
    async put(tensor) {
      native.checkOpen();
      if (!onGpu(tensor.dtype)) {
        throw new VersusError('unsupported', `a tensor of ${tensor.dtype} cannot lie on the GPU`, { where });
      }
      moved.to_device += tensor.data.byteLength;
      return hold(await transfer.toDevice(wrap(tensor), tensor.dtype));
    },
    async read(resident) {
      native.checkOpen();
      const tensor = store.native(resident, 'what is read');
      const found = await transfer.toHost(tensor, resident.dtype, resident.shape);
      moved.to_host += found.data.byteLength;
      return found;
    },
    placement: () => native.placement(),
    profile: () => native.profile(),
    traffic: () => ({ ...moved, resident: store.bytes }),
    async close() {
      await native.close(() => store.close());
      await transfer.close();
    },
  };
}
