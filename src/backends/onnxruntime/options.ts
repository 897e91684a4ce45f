import type { InferenceSession } from 'onnxruntime-node';
import type { OpenOptions } from '../../core/backend.ts';
import { VersusError } from '../../core/errors.ts';
import type { Provider } from './provider.ts';

/** What `onnxruntime(provider, options)` takes besides the options of each `open`. */
export interface ProviderOptions {
  /** Which GPU of several. */
  readonly deviceId?: number;
  /** Refuse graphs of which any node would run on the CPU instead (`session.disable_cpu_ep_fallback`). */
  readonly strict?: boolean;
  /**
   * Further options of the execution provider, passed on unchanged. webgpu has `preferredLayout` ('NCHW', 'NHWC'),
   * `validationMode` ('disabled', 'wgpuOnly', 'basic', 'full'), `forceCpuNodeNames`, and `storageBufferCacheMode` and its
   * siblings ('disabled', 'lazyRelease', 'simple', 'bucket').
   */
  readonly provider?: Readonly<Record<string, unknown>>;
  /** Options of every session of this backend. */
  readonly session?: SessionSettings;
}

/** Settings of a session; what is left out is the runtime's own choice. An `open` that names the same has the last word. */
export interface SessionSettings {
  /** Threads inside an operator. */
  readonly threads?: number;
  /** Threads across operators, with `executionMode: 'parallel'`. */
  readonly interOpThreads?: number;
  /** `parallel` runs branches of the graph at once. */
  readonly executionMode?: 'sequential' | 'parallel';
  /** Plans memory ahead from the shapes of the first run. */
  readonly memoryPattern?: boolean;
  readonly arena?: boolean;
  readonly optimisation?: NonNullable<OpenOptions['optimisation']>;
  /** webgpu: records a run's commands and plays them back in later runs. Graphs that leave the GPU can't. */
  readonly graphCapture?: boolean;
  /** Configuration entries by their whole keys, e.g. `{ 'session.intra_op.allow_spinning': '0' }`. */
  readonly entries?: Readonly<Record<string, string>>;
}

/** Fields of the runtime's session options; other keys of `OpenOptions.extra` are its configuration entries. */
const SESSION_FIELDS: ReadonlySet<string> = new Set([
  'enableMemPattern',
  'executionMode',
  'externalData',
  'interOpNumThreads',
  'logSeverityLevel',
  'logVerbosityLevel',
  'optimizedModelFilePath',
]);

/** Fields that the browser's runtime has and Node's binding (1.30) drops without a word. */
const IGNORED: Readonly<Record<string, string>> = {
  freeDimensionOverrides: 'export the model with these dimensions fixed',
  enableGraphCapture: "say onnxruntime('webgpu', { session: { graphCapture: true } })",
  preferredOutputLocation: 'open it with openResident, which says what stays on the GPU',
};

const GRAPH_CAPTURE = 'ep.webgpuexecutionprovider.enableGraphCapture';

type Entries = Record<string, unknown>;

/** What is in force when a session of `own` is opened with `open`: the one place that both the runtime and the record read. */
function settled({ session = {} }: ProviderOptions, open: OpenOptions) {
  return {
    threads: open.threads ?? session.threads ?? null,
    interOpThreads: session.interOpThreads ?? null,
    executionMode: session.executionMode ?? 'sequential',
    memoryPattern: session.memoryPattern ?? true,
    arena: open.arena ?? session.arena ?? true,
    optimisation: open.optimisation ?? session.optimisation ?? 'all',
    graphCapture: session.graphCapture ?? false,
  };
}

/**
 * The runtime's session options for an `open`. `extra` may hold fields of `InferenceSession.SessionOptions`
 * (`enableMemPattern` …) and groups of configuration entries (`{ session: { intra_op… : '1' } }`).
 *
 * @param session path prefix of the profile file, when placement is to be proven; outputs that stay on the GPU
 * @throws VersusError `usage` for a field that Node's binding would ignore
 */
export function sessionOptions(
  provider: Provider,
  own: ProviderOptions,
  open: OpenOptions,
  { profilePrefix, keep }: { readonly profilePrefix: string | null; readonly keep: readonly string[] },
): InferenceSession.SessionOptions {
  const fields: Entries = {};
  const entries: Entries = { ...own.session?.entries };
  for (const [key, value] of Object.entries(open.extra ?? {})) {
    const instead = Object.hasOwn(IGNORED, key) ? IGNORED[key] : undefined;
    if (instead) throw new VersusError('usage', `onnxruntime-node ignores ${key}`, { next: instead });
    (SESSION_FIELDS.has(key) ? fields : entries)[key] = value;
  }
  if (own.strict && provider !== 'cpu') {
    entries.session = { ...(entries.session as Entries | undefined), disable_cpu_ep_fallback: '1' };
  }
  const set = settled(own, open);
  if (set.graphCapture) entries[GRAPH_CAPTURE] = '1';
  return {
    executionProviders: [
      {
        name: provider,
        ...(own.deviceId === undefined ? {} : { deviceId: own.deviceId }),
        ...(provider === 'cpu' ? { useArena: set.arena } : {}),
        ...own.provider,
      },
    ],
    graphOptimizationLevel: set.optimisation,
    enableCpuMemArena: set.arena,
    enableMemPattern: set.memoryPattern,
    executionMode: set.executionMode,
    logSeverityLevel: 4,
    ...(set.threads === null ? {} : { intraOpNumThreads: set.threads }),
    ...(set.interOpThreads === null ? {} : { interOpNumThreads: set.interOpThreads }),
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
  keep: readonly string[],
): Record<string, string | number | boolean | null> {
  return {
    provider,
    precision: open.precision,
    ...settled(own, open),
    prove: open.prove ?? false,
    strict: own.strict ?? false,
    ...(keep.length === 0 ? {} : { resident: keep.length }),
    ...(own.deviceId === undefined ? {} : { deviceId: own.deviceId }),
    ...(own.provider === undefined ? {} : { providerOptions: JSON.stringify(own.provider) }),
    ...(own.session?.entries === undefined ? {} : { entries: JSON.stringify(own.session.entries) }),
    ...(open.extra === undefined ? {} : { extra: JSON.stringify(open.extra) }),
  };
}
