import type { Availability } from '../core/backend.ts';
import type { Config } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import type { ProbedBackend } from '../core/record.ts';
import { checkedAvailability } from './availability.ts';
import type { PlanFilter } from './filter.ts';
import type { ConfigAddress } from './protocol.ts';
import { supervise } from './supervise.ts';

/** A backend that takes longer to say whether it is there is not. */
const PROBE_TIMEOUT_MS = 60_000;

/**
 * Asks backends whether they can run here, in a process apart: a driver that crashes or hangs while it is probed makes one
 * backend unavailable and costs nothing else. A name that the config lacks gets no answer.
 * @throws VersusError `infrastructure` when no worker can be started at all.
 */
export async function probeBackends(
  config: ConfigAddress,
  names: readonly string[],
  options: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number } = {},
): Promise<Map<string, Availability>> {
  const probes = new Map<string, Availability>();
  let pending = [...new Set(names)];
  while (pending.length > 0) {
    const ending = await supervise(
      { kind: 'probe', config, backends: pending },
      {
        timeoutMs: options.timeoutMs ?? PROBE_TIMEOUT_MS,
        signal: options.signal,
        onMessage: (message) => {
          if (message.type === 'probed')
            probes.set(message.backend, checkedAvailability(message.availability));
        },
      },
    );
    if (ending.status === 'ok' || ending.status === 'cancelled') break;
    // They are probed in order, so the first without an answer is the one that the process died of.
    const [culprit, ...rest] = pending.filter((name) => !probes.has(name));
    if (ending.stage === 'starting' || culprit === undefined) {
      throw new VersusError('infrastructure', `a worker process could not start: ${ending.reason}`, {
        next: 'Run versus doctor.',
      });
    }
    probes.set(culprit, {
      available: false,
      version: null,
      reason: `the probe ended in ${ending.status}: ${ending.reason}`,
      fix: null,
    });
    pending = rest;
  }
  return probes;
}

/** What the record of a run keeps of the probes: the backends that could have taken part, in the config's order. */
export function probedBackends(
  config: Config,
  filter: PlanFilter,
  probes: ReadonlyMap<string, Availability>,
): ProbedBackend[] {
  return config.backends.flatMap(({ name, oracle }) => {
    const probe = probes.get(name);
    if (!probe || (filter.backends?.length ? !filter.backends.includes(name) : oracle)) return [];
    const { available, version } = probe;
    return available
      ? { name, available, version, device: probe.device, reason: null, fix: null }
      : { name, available, version, device: null, reason: probe.reason, fix: probe.fix };
  });
}
