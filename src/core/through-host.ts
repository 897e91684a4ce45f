import type { Feeds, Resident, ResidentSession, Residents, Session } from './backend.ts';
import { VersusError } from './errors.ts';
import { ResidentStore } from './residents.ts';
import type { Tensor, Tensors } from './tensor.ts';

/**
 * A resident session over one that knows only the host: what it keeps are the session's own tensors, handed back as they are.
 * On a device of its own they cross to the host and back, as `traffic` then says; on the host nothing is copied.
 *
 * @param onHost the session computes on the host's memory: what is kept crosses no border
 * @throws VersusError `input` when `keep` names an output that the session lacks; it is closed then
 */
export async function throughHost(
  session: Session,
  backend: string,
  keep: readonly string[],
  onHost: boolean,
): Promise<ResidentSession> {
  const where = `a session of ${backend}`;
  const unknown = keep.find((name) => !session.outputs.some((output) => output.name === name));
  if (unknown !== undefined) {
    await session.close();
    throw new VersusError('input', `the graph has no output '${unknown}' to keep`, {
      where,
      next: `keep some of ${session.outputs.map((o) => o.name).join(', ')}`,
    });
  }
  const store = new ResidentStore<Tensor>(backend, where);
  const moved = { to_device: 0, to_host: 0 };
  const hold = (tensor: Tensor): Resident => store.hold(tensor, tensor, () => {});
  return {
    inputs: session.inputs,
    outputs: session.outputs,
    options: session.options,
    keep,
    overwrites: onHost && session.writesInto === true,
    placement: () => session.placement(),
    ...(session.profile && { profile: () => session.profile!() }),
    traffic: () => ({ ...moved, resident: store.bytes }),
    async run(feeds: Feeds, fetch?: readonly string[], donated: Readonly<Residents> = {}) {
      const fed: Tensors = {};
      for (const [name, value] of Object.entries(feeds)) {
        const kept = !isTensor(value);
        fed[name] = kept ? store.native(value, `input '${name}'`) : value;
        if (!kept || !onHost) moved.to_device += fed[name].data.byteLength;
      }
      const into = donatedTensors(store, donated, keep);
      const outputs = await session.run(fed, fetch, into);
      for (const resident of Object.values(donated)) resident.dispose();
      const host: Tensors = {};
      const kept: Residents = {};
      for (const [name, tensor] of Object.entries(outputs)) {
        const stays = keep.includes(name);
        if (stays) kept[name] = hold(tensor);
        else host[name] = tensor;
        if (!stays || !onHost) moved.to_host += tensor.data.byteLength;
      }
      return { host, kept };
    },
    async put(tensor) {
      if (onHost) moved.to_device += tensor.data.byteLength;
      return hold(tensor);
    },
    async read(resident) {
      const tensor = store.native(resident, 'what is read');
      if (onHost) moved.to_host += tensor.data.byteLength;
      return tensor;
    },
    async close() {
      store.close();
      await session.close();
    },
  };
}

/**
 * The runtime's tensors behind donated residents.
 * @throws VersusError `input` for one that is given to an output that isn't kept, and as `ResidentStore.native`
 */
export function donatedTensors<N>(
  store: ResidentStore<N>,
  donated: Readonly<Residents>,
  keep: readonly string[],
): Record<string, N> {
  const given = Object.entries(donated).map(([output, resident]) => {
    if (!keep.includes(output)) {
      throw new VersusError('input', `a tensor is donated to '${output}', which does not stay on the device`);
    }
    return [output, store.native(resident, `what is donated to '${output}'`)] as const;
  });
  return Object.fromEntries(given);
}

/** Tells a tensor on the host from a handle. */
export const isTensor = (value: Tensor | Resident): value is Tensor => 'data' in value;
