import type { Device } from '../../core/backend.ts';
import { reasonOf, VersusError } from '../../core/errors.ts';
import { isSoftwareAdapter } from '../software-adapter.ts';

/** What WebGPU says of an adapter (`GPUAdapterInfo`). */
export interface AdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter?: boolean;
}

interface Gpu {
  requestAdapter(options?: object): Promise<{ readonly info: AdapterInfo } | null>;
}

/** Dawn ends the process when its instance is collected while devices live: this keeps it. */
let instance: Gpu | undefined;

/**
 * Puts WebGPU (Dawn, by the npm package `webgpu`) where tfjs looks for it, as in a browser, and asks which adapter answers.
 * @throws VersusError `infrastructure` when there is no adapter
 */
export async function openGpu(): Promise<AdapterInfo> {
  if (!instance) {
    let dawn: { create(options: string[]): Gpu; globals: Record<string, unknown> };
    try {
      dawn = (await import('webgpu')) as unknown as typeof dawn;
      Object.assign(globalThis, dawn.globals);
      instance = dawn.create([]);
    } catch (error) {
      throw new VersusError('infrastructure', `WebGPU cannot be loaded: ${reasonOf(error)}`, {
        next: 'npm ci installs it; its binaries are for Linux, macOS and Windows on x64 and arm64',
        cause: error,
      });
    }
    define('navigator', { gpu: instance, userAgent: 'node', platform: process.platform });
  }
  const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new VersusError('infrastructure', 'no WebGPU adapter answers', {
      next: "install a GPU driver with Vulkan (Linux), or Mesa's lavapipe 25 or later to compute on the CPU",
    });
  }
  return adapter.info;
}

function define(name: string, value: object): void {
  const there = (globalThis as Record<string, unknown>)[name];
  // Node 21 and later have a navigator of their own, without a gpu.
  if (there && typeof there === 'object') {
    for (const [key, part] of Object.entries(value)) {
      if (!(key in there)) Object.defineProperty(there, key, { value: part, configurable: true });
    }
    return;
  }
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

/** Mesa describes itself as `llvmpipe: Mesa 25.0.7 (LLVM 15.0.6) 0.0.1`: the device's name, then its driver. */
const DESCRIBED = /^([^:]+): (.+?)(?: [\d.]+)?$/;

export function adapterDevice(info: AdapterInfo): Device {
  const described = DESCRIBED.exec(info.description);
  const name = described?.[1] ?? (info.device || info.architecture || info.vendor || 'WebGPU adapter');
  return {
    kind: 'gpu',
    name,
    driver: described?.[2] ?? (info.description || null),
    software: info.isFallbackAdapter === true || isSoftwareAdapter(`${name} ${info.description}`),
  };
}
