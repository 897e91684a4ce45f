import type * as Tf from '@tensorflow/tfjs-core';
import { VersusError } from '../../core/errors.ts';

/** What catching errors needs of a GPUDevice. */
interface ScopedDevice {
  pushErrorScope(filter: 'validation' | 'out-of-memory'): void;
  popErrorScope(): Promise<{ readonly message: string } | null>;
}

const SCOPES = ['out-of-memory', 'validation'] as const;

/**
 * Runs `body` on WebGPU and asks the device what it refused. A shader that doesn't compile, or a buffer that there is no room
 * for, throws nothing by itself: the kernel is left out and what follows reads whatever lies in its buffer.
 * @throws VersusError `infrastructure` with the device's first words
 */
export async function withoutFaults<T>(tf: typeof Tf, body: () => Promise<T>): Promise<T> {
  const { device } = tf.backend() as unknown as { readonly device: ScopedDevice };
  for (const scope of SCOPES) device.pushErrorScope(scope);
  const outcome = await body().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  const faults = await Promise.all(SCOPES.map(() => device.popErrorScope()));
  if ('error' in outcome) throw outcome.error;
  const fault = faults.find((found) => found !== null);
  if (!fault) return outcome.value;
  const message = fault.message.split('\n')[0]!;
  throw new VersusError('infrastructure', `the WebGPU device refuses a kernel: ${message}`, {
    next: 'run it on another engine, such as tfjs-wasm',
  });
}
