import { describe, expect, it } from 'vitest';
import { webgpuDevice } from '../../src/backends/onnxruntime/devices.ts';
import { explain } from '../../src/backends/onnxruntime/errors.ts';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import { placementOf } from '../../src/backends/onnxruntime/placement.ts';
import { nodeRuns, nodeTimes } from '../../src/backends/onnxruntime/profile.ts';
import type { Provider } from '../../src/backends/onnxruntime/provider.ts';
import { isSoftwareAdapter } from '../../src/backends/software-adapter.ts';

// Before the first probe of this process: a driver list that leads nowhere, as on a machine without Vulkan.
process.env.VK_ICD_FILENAMES = '/nonexistent/icd.json';
process.env.VK_DRIVER_FILES = '/nonexistent/icd.json';

const node = (name: string, provider: string, outputs: unknown) => ({
  cat: 'Node',
  name: `${name}_kernel_time`,
  args: { provider, op_name: name, node_index: name.length, output_type_shape: outputs },
});
const profile = (...events: unknown[]): string =>
  JSON.stringify([{ cat: 'Session', name: 'model_run' }, ...events]);
const GPU = 'WebGpuExecutionProvider';
const CPU = 'CPUExecutionProvider';

const placementFromProfile = (text: string, provider: Provider) => placementOf(nodeRuns(text), provider);
const timed = (event: ReturnType<typeof node>, dur: number) => ({ ...event, dur });
const program = (name: string, dur: number) => ({ cat: 'Api', name, dur });

describe('times from a profile', () => {
  it('are the host’s where there is no other clock, run by run', () => {
    const conv = node('Conv', CPU, [{ float: [1, 4] }]);
    expect(nodeTimes(nodeRuns(profile(timed(conv, 1500), timed(conv, 500))))).toEqual([
      { name: 'Conv', op: 'Conv', device: CPU, ms: [1.5, 0.5], inputs: [], outputs: [[1, 4]] },
    ]);
  });

  it('are the GPU’s own where it says so, and nothing for a node that starts no program', () => {
    const [conv, view, host] = [node('Conv', GPU, []), node('Reshape', GPU, []), node('Where', CPU, [])];
    const run = [timed(conv, 10), timed(view, 9), timed(host, 1000)];
    const text = profile(
      ...[...run, ...run],
      ...[program('Conv&Conv&Im2Col', 1000), program('Conv&Conv&MatMul', 2000)],
      ...[program('Conv&Conv&Im2Col', 1), program('Conv&Conv&MatMul', 2)],
    );
    expect(nodeRuns(text).map(({ name, ms }) => [name, ms])).toEqual([
      ['Conv', [3, 0.003]],
      ['Reshape', [0, 0]],
      ['Where', [1, 1]],
    ]);
    const placement = placementFromProfile(text, 'webgpu')!;
    expect(placement.times).toEqual({ [GPU]: 3.003, [CPU]: 2 });
    expect(placement.share_of_time).toBeCloseTo(3.003 / 5.003, 12);
    expect(placement.share).toBe(2 / 3);
  });

  it('know only the mean where runs started unequal numbers of programs', () => {
    const conv = timed(node('a&b', GPU, []), 1);
    const text = profile(
      conv,
      conv,
      program('a&b&Conv&x', 3000),
      program('a&b&Conv&x', 2000),
      program('a&b&Conv&x', 1000),
    );
    expect(nodeRuns(text)[0]!.ms).toEqual([3, 3]);
  });
});

describe('placement from a profile', () => {
  it('counts each node once and names the operators that ran elsewhere', () => {
    const matmul = node('MatMul', GPU, [{ float: [2, 8] }]);
    const stray = node('CumSum', CPU, [{ float: [2, 8] }]);
    expect(
      placementFromProfile(profile(matmul, matmul, stray, node('Add', GPU, [{ float: [1] }])), 'webgpu'),
    ).toEqual({
      nodes: { [GPU]: 2, [CPU]: 1 },
      share: 2 / 3,
      method: 'profile',
      strays: ['CumSum'],
    });
  });

  it('leaves shapes, ids and masks out of the share, but not integer arithmetic that carries work', () => {
    const shape = node('Concat', CPU, [{ int64: [3] }]);
    const mask = node('Less', CPU, [{ bool: [64, 64] }]);
    const product = node('MatMulInteger', CPU, [{ int32: [64, 64] }]);
    const matmul = node('MatMul', GPU, [{ float: [2, 8] }]);
    expect(placementFromProfile(profile(matmul, shape, mask), 'webgpu')).toMatchObject({
      share: 1,
      strays: [],
    });
    expect(placementFromProfile(profile(matmul, product), 'webgpu')).toMatchObject({
      share: 0.5,
      strays: ['MatMulInteger'],
    });
  });

  it('says nothing before a node ran, and refuses a broken profile', () => {
    expect(placementFromProfile(profile(), 'webgpu')).toBeNull();
    expect(() => placementFromProfile('[{"cat":', 'webgpu')).toThrow(/not valid JSON/);
    expect(() => placementFromProfile('{}', 'webgpu')).toThrow(/not a list/);
  });
});

describe('an adapter’s name', () => {
  it.each([
    ['llvmpipe (LLVM 19.1.7, 256 bits)', true],
    ['lavapipe', true],
    ['Google SwiftShader', true],
    ['SwiftShader Device (Subzero)', true],
    ['Microsoft Basic Render Driver', true],
    ['NVIDIA GeForce RTX 4090', false],
    ['AMD Radeon Graphics (RADV NAVI31)', false],
    ['Apple M3 Max', false],
  ])('%s: emulated %s', (name, software) => expect(isSoftwareAdapter(name)).toBe(software));
});

describe('the adapter behind webgpu', () => {
  const lavapipe = ['/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so', '/usr/lib/llvm/lib/libLLVM-15.so.1'];
  it.runIf(process.platform === 'linux')('is software when no GPU device file is open', async () => {
    expect(await webgpuDevice({ libraries: lavapipe, devices: [] })).toMatchObject({
      name: 'llvmpipe (LLVM 15)',
      software: true,
    });
    expect(await webgpuDevice({ libraries: ['/opt/x/libvk_swiftshader.so'], devices: [] })).toMatchObject({
      name: 'SwiftShader',
      software: true,
    });
    expect(await webgpuDevice({ libraries: [], devices: [] })).toMatchObject({ software: true });
  });

  it.runIf(process.platform === 'linux')(
    'is the GPU whose device file is open, though lavapipe is loaded too',
    async () => {
      const radeon = {
        libraries: [...lavapipe, '/usr/lib/libvulkan_radeon.so'],
        devices: ['/dev/dri/renderD128'],
      };
      expect(await webgpuDevice(radeon)).toMatchObject({ name: 'AMD GPU', software: false });
      expect(await webgpuDevice({ libraries: lavapipe, devices: ['/dev/nvidia0'] })).toMatchObject({
        driver: expect.stringContaining('NVIDIA'),
        software: false,
      });
    },
  );

  it.runIf(process.platform === 'linux')(
    'is missing, with a reason and a fix, where there is no Vulkan',
    async () => {
      const answer = await onnxruntime('webgpu').probe();
      expect(answer).toMatchObject({ available: false, version: expect.stringMatching(/^\d/) });
      if (!answer.available) {
        expect(answer.reason).toMatch(/no WebGPU adapter/);
        expect(answer.fix).toContain('mesa-vulkan-drivers');
      }
    },
  );
});

describe('what the runtime throws becomes', () => {
  it.each([
    ['std::bad_alloc', 'infrastructure', /out of memory/],
    ['CUDA failure 2: out of memory ; GPU=0 ; hostname=x', 'infrastructure', /out of memory/],
    [
      'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library',
      'infrastructure',
      /cuda provider/,
    ],
    ['Fatal error: my.domain:Foo(-1) is not a registered function/op', 'unsupported', /my\.domain:Foo/],
    [
      "Non-zero status code returned while running MaxPool node. Name:'it' Status Message: /onnxruntime_src/onnxruntime/core/providers/webgpu/nn/pool.cc:276 ComputeInternal The Indices output is not supported yet.",
      'unsupported',
      /lacks this use of MaxPool: The Indices output is not supported yet\.$/,
    ],
    ['something nobody has seen before', 'infrastructure', /onnxruntime-cuda: something nobody/],
  ])('%s → %s', (text, kind, message) => {
    const error = explain(new Error(text), 'cuda', 'a model');
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(message);
    expect(error.where).toContain('a model');
  });
});
