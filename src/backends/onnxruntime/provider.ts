import { readFileSync } from 'node:fs';

/** Execution providers that onnxruntime-node knows, as its `executionProviders` option names them. */
export const PROVIDERS = ['cpu', 'webgpu', 'cuda', 'tensorrt', 'dml', 'coreml'] as const;
export type Provider = (typeof PROVIDERS)[number];

/** Provider names as profiles and placement logs of the runtime print them. */
export const EXECUTION_PROVIDER: Readonly<Record<Provider, string>> = {
  cpu: 'CPUExecutionProvider',
  webgpu: 'WebGpuExecutionProvider',
  cuda: 'CUDAExecutionProvider',
  tensorrt: 'TensorrtExecutionProvider',
  dml: 'DmlExecutionProvider',
  coreml: 'CoreMLExecutionProvider',
};

/** Where a fix applies; tests name other machines. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** Text of /etc/os-release, '' where there is none. */
  readonly release: string;
}

function thisMachine(): Machine {
  let release = '';
  try {
    release = readFileSync('/etc/os-release', 'utf8');
  } catch {
    // Not a Linux, or one that does not say which.
  }
  return { platform: process.platform, arch: process.arch, release };
}

const DRIVERS =
  'drives GPUs of AMD and Intel, else it is software: correctness only; NVIDIA has its own driver';

/**
 * The one step that makes a provider available on this machine; null where none does. What follows `#` is a remark.
 * CUDA and TensorRT are not in the npm package: its own install script fetches them, and only when told to.
 */
export function fixFor(provider: Provider, machine: Machine = thisMachine()): string | null {
  const { platform, arch, release } = machine;
  switch (provider) {
    case 'cpu':
      return 'npm ci';
    case 'webgpu':
      if (platform !== 'linux') return null;
      // Debian 12's own Mesa (22.3) offers no adapter that Dawn takes.
      return /^VERSION_CODENAME=bookworm$/m.test(release)
        ? `apt-get install -t bookworm-backports mesa-vulkan-drivers # with bookworm-backports among the apt sources; ${DRIVERS}`
        : `apt-get install mesa-vulkan-drivers # ${DRIVERS}`;
    case 'cuda':
    case 'tensorrt':
      if (platform !== 'linux' || arch !== 'x64') return null;
      return `ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js # besides an NVIDIA driver, CUDA 12${
        provider === 'cuda' ? ' and cuDNN 9' : ', cuDNN 9 and TensorRT 10'
      }`;
    case 'dml':
    case 'coreml':
      return null;
  }
}
