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

/**
 * The one step that makes a provider available on this machine; null where none does.
 * CUDA and TensorRT are not in the npm package: its own install script fetches them (`onnxruntime-node/script/install.js`).
 */
export function fixFor(provider: Provider, platform = process.platform, arch = process.arch): string | null {
  switch (provider) {
    case 'cpu':
      return 'npm ci';
    case 'webgpu':
      return platform === 'linux'
        ? 'apt-get install -t bookworm-backports mesa-vulkan-drivers   # or your GPU vendor’s Vulkan driver; Mesa’s lavapipe is software: for correctness only'
        : null;
    case 'cuda':
      return platform === 'linux' && arch === 'x64'
        ? 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node --ignore-scripts=false   # needs an NVIDIA driver, CUDA 12 and cuDNN 9'
        : null;
    case 'tensorrt':
      return platform === 'linux' && arch === 'x64'
        ? 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node --ignore-scripts=false   # needs TensorRT 10 besides CUDA 12 and cuDNN 9'
        : null;
    case 'dml':
    case 'coreml':
      return null;
  }
}
