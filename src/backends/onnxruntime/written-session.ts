import type { Feeds, OpenOptions, Resident, ResidentSession, Residents } from '../../core/backend.ts';
import { VersusError } from '../../core/errors.ts';
import type { Artifact } from '../../core/model.ts';
import { ResidentStore } from '../../core/residents.ts';
import { allocate, elementCount, type Tensor, type Tensors } from '../../core/tensor.ts';
import { donatedTensors, isTensor } from '../../core/through-host.ts';
import { checkFeeds, checkFetch } from '../feeds.ts';
import { NativeSession } from './native.ts';
import type { ProviderOptions } from './options.ts';
import { loadRuntime } from './runtime.ts';
import { stopping, stops } from './stopping.ts';
import { tensorWrapper } from './tensors.ts';

/**
 * A session on the CPU whose results are written where they are to stay, and copied nowhere: over donated residents, else into
 * new memory. Nodes run in the order of the file.
 *
 * @returns null where the graph or the runtime doesn't allow it
 * @throws VersusError as `NativeSession.open`; `input` for an unknown output in `keep`
 */
export async function openWrittenSession(
  own: ProviderOptions,
  artifact: Artifact,
  open: OpenOptions,
  keep: readonly string[],
): Promise<ResidentSession | null> {
  if (keep.length === 0 || !(await stops(await loadRuntime()))) return null;
  const derived = await stopping(artifact).catch(() => null);
  if (derived === null) return null;
  const native = await NativeSession.open('cpu', own, artifact, open, [], derived);
  const { inputs, outputs, where } = native;
  const unknown = keep.find((name) => !outputs.some((output) => output.name === name));
  if (unknown !== undefined) {
    await native.close();
    throw new VersusError('input', `the graph has no output '${unknown}' to keep`, {
      where,
      next: `keep some of ${outputs.map((o) => o.name).join(', ')}`,
    });
  }
  const wrap = tensorWrapper(native.runtime);
  const store = new ResidentStore<Tensor>('onnxruntime-cpu', where);
  const moved = { to_device: 0, to_host: 0 };
  const hold = (tensor: Tensor): Resident => store.hold(tensor, tensor, () => {});

  return {
    inputs,
    outputs,
    keep,
    overwrites: true,
    options: native.options,
    async run(feeds: Feeds, fetch?: readonly string[], donated: Readonly<Residents> = {}) {
      native.checkOpen();
      checkFeeds(where, inputs, feeds);
      if (fetch !== undefined) checkFetch(where, outputs, fetch);
      const fed: Tensors = {};
      for (const { name } of inputs) {
        const value = feeds[name]!;
        fed[name] = isTensor(value) ? value : store.native(value, `input '${name}'`);
        if (isTensor(value)) moved.to_device += value.data.byteLength;
      }
      const given = donatedTensors(store, donated, keep);
      const results: Tensors = {};
      for (const { name, dtype, shape } of outputs) {
        if (fetch && !fetch.includes(name)) continue;
        const sizes = shape as readonly number[];
        const place = given[name];
        if (place && (place.dtype !== dtype || String(place.shape) !== String(sizes))) {
          throw new VersusError(
            'input',
            `what is donated to '${name}' is ${place.dtype} [${place.shape}], not ${dtype} [${sizes}]`,
            { where },
          );
        }
        results[name] = place ?? { dtype, shape: sizes, data: allocate(dtype, elementCount(sizes)) };
      }
      await native.runInto(wrapped(fed), wrapped(results));
      for (const resident of Object.values(donated)) resident.dispose();
      const host: Tensors = {};
      const kept: Residents = {};
      for (const [name, tensor] of Object.entries(results)) {
        if (keep.includes(name)) kept[name] = hold(tensor);
        else {
          host[name] = tensor;
          moved.to_host += tensor.data.byteLength;
        }
      }
      return { host, kept };
    },
    async put(tensor) {
      native.checkOpen();
      moved.to_device += tensor.data.byteLength;
      return hold(tensor);
    },
    async read(resident) {
      native.checkOpen();
      const tensor = store.native(resident, 'what is read');
      moved.to_host += tensor.data.byteLength;
      return tensor;
    },
    placement: () => native.placement(),
    profile: () => native.profile(),
    traffic: () => ({ ...moved, resident: store.bytes }),
    close: () => native.close(() => store.close()),
  };

  function wrapped(tensors: Tensors): Record<string, ReturnType<typeof wrap>> {
    return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, wrap(tensor)]));
  }
}
