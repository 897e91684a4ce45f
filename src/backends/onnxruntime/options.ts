import type { InferenceSession } from 'onnxruntime-node';
import type { OpenOptions } from '../../core/backend.ts';
import type { Provider } from './provider.ts';

/** What `onnxruntime(provider, options)` takes besides the options of each `open`. */
export interface ProviderOptions {
  /** Which GPU of several. */
  readonly deviceId?: number;
  /** Refuse graphs of which any node would run on the CPU instead (`session.disable_cpu_ep_fallback`). */
  readonly strict?: boolean;
  /** Further options of the execution provider, passed on unchanged, e.g. `{ preferredLayout: 'NHWC' }`. */
  readonly provider?: Readonly<Record<string, unknown>>;
}

/** Fields of the runtime's session options; other keys of `OpenOptions.extra` are its configuration entries. */
const SESSION_FIELDS: ReadonlySet<string> = new Set([
  'enableGraphCapture',
  'enableMemPattern',
  'executionMode',
  'externalData',
  'freeDimensionOverrides',
  'interOpNumThreads',
  'logSeverityLevel',
  'logVerbosityLevel',
  'optimizedModelFilePath',
]);

type Entries = Record<string, unknown>;

/**
 * The runtime's session options for an `open`. `extra` may hold fields of `InferenceSession.SessionOptions`
 * (`enableMemPattern` …) and groups of configuration entries (`{ session: { intra_op… : '1' } }`).
 *
 * @param session path prefix of the profile file, when placement is to be proven; outputs that stay on the GPU
 */
export function sessionOptions(
  provider: Provider,
  own: ProviderOptions,
  open: OpenOptions,
  { profilePrefix, keep }: { readonly profilePrefix: string | null; readonly keep: readonly string[] },
): InferenceSession.SessionOptions {
  const fields: Entries = {};
  const entries: Entries = {};
  for (const [key, value] of Object.entries(open.extra ?? {})) {
    (SESSION_FIELDS.has(key) ? fields : entries)[key] = value;
  }
  if (own.strict && provider !== 'cpu') {
    entries.session = { ...(entries.session as Entries | undefined), disable_cpu_ep_fallback: '1' };
  }
  return {
    executionProviders: [
      {
        name: provider,
        ...(own.deviceId === undefined ? {} : { deviceId: own.deviceId }),
        ...(provider === 'cpu' ? { useArena: open.arena ?? true } : {}),
        ...own.provider,
      },
    ],
    graphOptimizationLevel: open.optimisation ?? 'all',
    enableCpuMemArena: open.arena ?? true,
    logSeverityLevel: 4,
    ...(open.threads === undefined ? {} : { intraOpNumThreads: open.threads }),
    ...(profilePrefix === null ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
    ...(keep.length === 0
      ? {}
      : { preferredOutputLocation: Object.fromEntries(keep.map((name) => [name, 'gpu-buffer'])) }),
    ...fields,
    ...(Object.keys(entries).length === 0 ? {} : { extra: entries }),
  };
}

/** The options in force, flat, for the record; `threads: null` means the runtime's own choice. */
export function recordedOptions(
  provider: Provider,
  own: ProviderOptions,
  open: OpenOptions,
): Record<string, string | number | boolean | null> {
  return {
    provider,
    precision: open.precision,
    threads: open.threads ?? null,
    optimisation: open.optimisation ?? 'all',
    arena: open.arena ?? true,
    prove: open.prove ?? false,
    strict: own.strict ?? false,
    ...(own.deviceId === undefined ? {} : { deviceId: own.deviceId }),
    ...(own.provider === undefined ? {} : { providerOptions: JSON.stringify(own.provider) }),
    ...(open.extra === undefined ? {} : { extra: JSON.stringify(open.extra) }),
  };
}
