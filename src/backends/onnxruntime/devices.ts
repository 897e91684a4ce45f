import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import type { Device } from '../../core/backend.ts';
import { isSoftwareAdapter } from '../software-adapter.ts';

const run = promisify(execFile);

/** Name and driver of an NVIDIA GPU as `nvidia-smi` tells them; null when it does not answer. */
export async function nvidiaDevice(index: number): Promise<Device | null> {
  try {
    const { stdout } = await run(
      'nvidia-smi',
      ['--query-gpu=name,driver_version', '--format=csv,noheader', `--id=${index}`],
      { timeout: 10_000 },
    );
    const [name, driver] = stdout
      .split('\n')[0]!
      .split(',')
      .map((field) => field.trim());
    return name ? { kind: 'gpu', name, driver: driver ? `NVIDIA ${driver}` : null, software: false } : null;
  } catch {
    return null;
  }
}

/** What a probe found in its own process: mapped driver libraries and open GPU device files. */
export interface DriverEvidence {
  readonly libraries: readonly string[];
  readonly devices: readonly string[];
}

const HARDWARE: readonly (readonly [RegExp, string])[] = [
  [/libvulkan_radeon|amdvlk/, 'AMD'],
  [/libvulkan_intel/, 'Intel'],
  [/libvulkan_nouveau/, 'NVIDIA (NVK)'],
  [/libvulkan_freedreno/, 'Qualcomm Adreno'],
  [/libvulkan_panfrost/, 'ARM Mali'],
  [/libvulkan_broadcom/, 'Broadcom'],
  [/libvulkan_asahi/, 'Apple'],
];

/**
 * Which Vulkan driver answered. The runtime offers no adapter information (its binding has no such call and its logs do not
 * say it), so this reads what cannot lie: a process that computes on a GPU holds its device file open, one that
 * computes on lavapipe or SwiftShader has only their library mapped.
 */
export async function webgpuDevice(evidence: DriverEvidence): Promise<Device> {
  if (process.platform !== 'linux') {
    const api = process.platform === 'darwin' ? 'Metal' : 'Direct3D 12';
    return { kind: 'gpu', name: 'default WebGPU adapter', driver: api, software: false };
  }
  const loaded = (pattern: RegExp) => evidence.libraries.find((path) => pattern.test(basename(path)));
  if (evidence.devices.some((path) => path.startsWith('/dev/nvidia'))) {
    return (await nvidiaDevice(0)) ?? { kind: 'gpu', name: 'NVIDIA GPU', driver: 'NVIDIA', software: false };
  }
  if (evidence.devices.some((path) => path.startsWith('/dev/dri/') || path === '/dev/dxg')) {
    const match = HARDWARE.find(([pattern]) => loaded(pattern) !== undefined);
    const library = match && loaded(match[0]);
    return {
      kind: 'gpu',
      name: match ? `${match[1]} GPU` : 'Vulkan GPU',
      driver: library ? await mesaVersion(library) : null,
      software: false,
    };
  }
  const lavapipe = loaded(/libvulkan_lvp/);
  if (lavapipe !== undefined) {
    const llvm = loaded(/libLLVM/)?.match(/libLLVM[-.](?:so\.)?([\d.]+\d)/)?.[1];
    return emulated(llvm ? `llvmpipe (LLVM ${llvm})` : 'llvmpipe', await mesaVersion(lavapipe));
  }
  if (loaded(/libvk_swiftshader/)) return emulated('SwiftShader', 'SwiftShader');
  // No device file and no known driver: whatever it is, it does not compute on a GPU.
  return { kind: 'gpu', name: 'unknown Vulkan adapter', driver: null, software: true };
}

const emulated = (name: string, driver: string | null): Device => ({
  ...{ kind: 'gpu', name, driver, software: isSoftwareAdapter(name) },
});

/** `Mesa 25.0.7` from the driver library itself, which carries its version as text. */
async function mesaVersion(library: string): Promise<string | null> {
  try {
    const text = (await readFile(library)).toString('latin1');
    const version = /Mesa (\d+\.\d+\.\d+)/.exec(text)?.[1];
    return version ? `Mesa ${version}` : basename(library);
  } catch {
    return basename(library);
  }
}
