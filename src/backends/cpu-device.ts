import { cpus } from 'node:os';
import type { Device } from '../core/backend.ts';

/** The processor under the name that the kernel gives it; its architecture where it gives none. */
export function cpuDevice(): Device {
  const model = cpus()[0]?.model.trim() ?? '';
  return {
    kind: 'cpu',
    name: model === '' || model === 'unknown' ? process.arch : model,
    driver: null,
    software: false,
  };
}
