import type { Backend, OpenOptions, TrainingTraits } from '../../core/backend.ts';
import { VersusError } from '../../core/errors.ts';
import type { Artifact } from '../../core/model.ts';
import { throughHost } from '../../core/through-host.ts';
import { blamed } from './blame.ts';
import { withRightLayout } from './channels-first.ts';
import type { ProviderOptions } from './options.ts';
import { probe } from './probe.ts';
import type { Provider } from './provider.ts';
import { openResidentSession } from './resident-session.ts';
import { openSession } from './session.ts';
import { openWrittenSession } from './written-session.ts';

export type { ProviderOptions } from './options.ts';
export type { Provider } from './provider.ts';

const WITH_DEVICE_ID: readonly Provider[] = ['cuda', 'tensorrt', 'dml'];

/**
 * onnxruntime on one execution provider, named `onnxruntime-<provider>`. Nothing native loads before `probe` or `open`.
 *
 * @param options which GPU, whether falling back to the CPU is refused, provider options
 * @throws VersusError `usage` for a `deviceId` where the provider chooses its device itself
 */
export function onnxruntime(provider: Provider, options: ProviderOptions = {}): Backend {
  if (options.deviceId !== undefined && !WITH_DEVICE_ID.includes(provider)) {
    throw new VersusError('usage', `onnxruntime-${provider} takes no deviceId`, {
      next: `leave it out; it counts for ${WITH_DEVICE_ID.join(', ')}`,
    });
  }
  return {
    name: `onnxruntime-${provider}`,
    training: {
      ...(TRAINING[provider] ?? { microsoft: true, fixedBatchNorm: true }),
      recomputing: RECOMPUTING,
    },
    probe: () => probe(provider, options.deviceId ?? null),
    open: async (artifact, open) => {
      const own = provider === 'webgpu' ? await withRightLayout(options, artifact) : options;
      return blaming(artifact, openSession(provider, own, artifact, open));
    },
    ...residency(provider, options),
  };
}

/** Equal nodes are merged from the lowest level of optimisation on, and the memory that recomputing frees is held again. */
const RECOMPUTING: Partial<OpenOptions> = {
  extra: { optimization: { disable_specified_optimizers: 'CommonSubexpressionElimination' } },
};

/**
 * A step on the CPU runs as it is written: its order is chosen for memory and its products for speed, which the optimiser's fusions
 * would undo. The memory pattern is off, because it comes on top of what the arena holds since the first run (1.30: twice the peak).
 */
const TRAINING: Partial<Record<Provider, TrainingTraits>> = {
  cpu: {
    microsoft: true,
    processor: true,
    open: { optimisation: 'disabled', arena: true, extra: { enableMemPattern: false } },
  },
};

/**
 * Of the providers in the npm packages, webgpu alone leaves outputs on its device. The CPU's are on the host anyway: what is kept is
 * written in its place where that can be, else the binding's copies are handed on.
 */
function residency(provider: Provider, options: ProviderOptions): Pick<Backend, 'openResident'> {
  if (provider === 'webgpu') {
    return {
      openResident: async (artifact, open, keep) => {
        const own = await withRightLayout(options, artifact);
        return blaming(artifact, openResidentSession(own, artifact, open, keep));
      },
    };
  }
  if (provider !== 'cpu') return {};
  return {
    openResident: async (artifact, open, keep) =>
      (await blaming(artifact, openWrittenSession(options, artifact, open, keep))) ??
      throughHost(
        await blaming(artifact, openSession(provider, options, artifact, open)),
        `onnxruntime-${provider}`,
        keep,
        true,
      ),
  };
}

/** What is opened, or why not, with the node that is to blame where it can be found. */
function blaming<T>(artifact: Artifact, opening: Promise<T>): Promise<T> {
  return opening.catch(async (error: unknown) => {
    throw await blamed(error, artifact);
  });
}
