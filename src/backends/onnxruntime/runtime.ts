import type * as Ort from 'onnxruntime-node';
import { reasonOf, VersusError } from '../../core/errors.ts';

export type Runtime = typeof Ort;

let loading: Promise<Runtime> | undefined;

/**
 * The native module, loaded on first use and then shared: importing this package costs nothing.
 *
 * @throws VersusError `infrastructure` when the binary for this platform is missing or does not load.
 */
export function loadRuntime(): Promise<Runtime> {
  loading ??= import('onnxruntime-node').then(
    (module) => {
      const runtime = ((module as unknown as { default?: Runtime }).default ?? module) as Runtime;
      // Read once, when the first session is made. What goes wrong is thrown, too; a second copy on stderr only frightens.
      runtime.env.logLevel = 'fatal';
      return runtime;
    },
    (error: unknown) => {
      loading = undefined;
      throw new VersusError('infrastructure', `onnxruntime-node does not load: ${reasonOf(error)}`, {
        where: `${process.platform}-${process.arch}`,
        next: 'npm ci',
        cause: error,
      });
    },
  );
  return loading;
}

/** Version of the native runtime, e.g. `1.30.0`. */
export async function runtimeVersion(): Promise<string> {
  return (await loadRuntime()).env.versions.node ?? 'unknown';
}
