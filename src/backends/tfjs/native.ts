import { createRequire } from 'node:module';
import type * as Tf from '@tensorflow/tfjs-core';
import type { Device } from '../../core/backend.ts';
import { reasonOf, VersusError } from '../../core/errors.ts';
import { cpuDevice } from '../cpu-device.ts';

/** Either may be installed by the user; the first that is there is taken. */
export const NATIVE = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

/**
 * TensorFlow's C library through tfjs-node-gpu or tfjs-node, neither of which comes with Versus: both download gigabytes.
 * @throws VersusError `infrastructure` with the reason and the command that installs one
 */
export async function loadNative(): Promise<{ tf: typeof Tf; device: Device }> {
  const require = createRequire(import.meta.url);
  const failures: string[] = [];
  for (const name of NATIVE) {
    try {
      require.resolve(name);
    } catch {
      continue;
    }
    if (Number(process.versions.node.split('.')[0]) >= 23) {
      throw new VersusError(
        'infrastructure',
        `${name} 4.22 does not run on Node ${process.versions.node}: it calls util.isNullOrUndefined, gone since Node 23`,
        { next: 'use Node 20 or 22' },
      );
    }
    try {
      const tf = require(name) as typeof Tf;
      const gpu = name.endsWith('gpu');
      const cpu = cpuDevice();
      // Which of several GPUs TensorFlow took it does not tell.
      return {
        tf,
        device: gpu ? { kind: 'gpu', name: 'CUDA device 0', driver: null, software: false } : cpu,
      };
    } catch (error) {
      failures.push(`${name}: ${reasonOf(error)}`);
    }
  }
  throw new VersusError(
    'infrastructure',
    failures.length > 0
      ? `TensorFlow cannot be loaded (${failures.join('; ')})`
      : `neither ${NATIVE.join(' nor ')} is installed`,
    {
      next: 'npm install --no-save @tensorflow/tfjs-node@4.22.0 (or @tensorflow/tfjs-node-gpu@4.22.0 with CUDA 11.2 and cuDNN 8.1)',
    },
  );
}
