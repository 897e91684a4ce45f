import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import type { SessionSettings } from '../../src/backends/onnxruntime/options.ts';
import { fixFor, PROVIDERS } from '../../src/backends/onnxruntime/provider.ts';
import { VersusError } from '../../src/core/errors.ts';
import type { Graph } from '../../src/core/graph.ts';
import { float32 } from '../../src/core/tensor.ts';
import { workplace } from './artifact.ts';
import { dense } from './contract-graphs.ts';

const files = workplace();
const cpu = onnxruntime('cpu');

function oneNode(op: string, dtype: 'float32' | 'float64' | 'uint32' | 'bfloat16', opset = 20): Graph {
  const value = { dtype, shape: ['n'] };
  return {
    name: op,
    opset: { '': opset },
    inputs: [{ name: 'x', ...value }],
    outputs: [{ name: 'y', ...value }],
    params: [],
    nodes: [{ op, name: `layer/${op}`, inputs: ['x'], outputs: ['y'], attrs: {} }],
  };
}

async function refusal(graph: Graph): Promise<VersusError> {
  const error = await cpu.open(await files.write(graph), { precision: 'fp32' }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(VersusError);
  return error as VersusError;
}

describe('onnxruntime', () => {
  it('loads nothing native on import', () => {
    const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
    expect(sharedObjects.filter((path) => path.includes('onnxruntime'))).toEqual([]);
  });

  it.each(PROVIDERS)('probes %s for real: available with a device, or why not', async (provider) => {
    const backend = onnxruntime(provider);
    expect(backend.name).toBe(`onnxruntime-${provider}`);
    const answer = await backend.probe();
    expect(await onnxruntime(provider).probe()).toBe(answer);
    if (answer.available) {
      expect(answer.version).toMatch(/^\d+\.\d+\.\d+/);
      expect(answer.device.name).not.toBe('');
      expect(answer.precisions).toContain('fp32');
      if (provider === 'cpu') expect(answer.precisions).toEqual(['fp32', 'fp16', 'int8', 'int4']);
    } else {
      expect(answer.reason.length).toBeGreaterThan(10);
      expect(answer.fix).toBe(fixFor(provider));
    }
  });

  it('names one command for what can be had', () => {
    const debian = { platform: 'linux', arch: 'x64', release: 'ID=debian\nVERSION_CODENAME=bookworm\n' };
    expect(fixFor('webgpu', debian)).toMatch(/^apt-get install -t bookworm-backports mesa-vulkan-drivers #/);
    expect(fixFor('webgpu', { ...debian, release: 'VERSION_CODENAME=trixie' })).toMatch(
      /^apt-get install mesa/,
    );
    expect(fixFor('cuda', debian)).toMatch(/^ONNXRUNTIME_NODE_INSTALL=cuda12 node .*install\.js #/);
    expect(fixFor('cuda', { ...debian, arch: 'arm64' })).toBeNull();
    expect(fixFor('dml', debian)).toBeNull();
  });

  it('refuses a device number where the provider chooses itself', () => {
    expect(() => onnxruntime('webgpu', { deviceId: 1 })).toThrow(/takes no deviceId/);
  });

  it('says which operator, element type or opset it lacks, and where', async () => {
    const opset = await refusal(oneNode('Relu', 'float32', 99));
    expect([opset.kind, opset.message]).toEqual(['unsupported', expect.stringContaining('opset 99')]);
    const double = await refusal(oneNode('Gelu', 'float64'));
    expect([double.kind, double.message]).toEqual([
      'unsupported',
      expect.stringMatching(/implementation of \w+/),
    ]);
    const whole = await refusal(oneNode('Gelu', 'uint32'));
    expect(whole.kind).toBe('unsupported');
    expect(whole.describe()).toMatch(/Gelu does not take tensor\(uint32\)[\s\S]*node layer\/Gelu/);
    expect((await refusal(oneNode('Identity', 'bfloat16'))).message).not.toMatch(/\n|onnxruntime_src/);
  });

  it('says which operator failed while running', async () => {
    const graph: Graph = {
      ...oneNode('Reshape', 'float32'),
      inputs: [
        { name: 'x', dtype: 'float32', shape: ['n'] },
        { name: 'shape', dtype: 'int64', shape: [2] },
      ],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['a', 'b'] }],
      nodes: [{ op: 'Reshape', name: 'head/Reshape', inputs: ['x', 'shape'], outputs: ['y'], attrs: {} }],
    };
    const session = await cpu.open(await files.write(graph), { precision: 'fp32' });
    const shape = { dtype: 'int64' as const, shape: [2], data: new BigInt64Array([2n, 2n]) };
    const error: unknown = await session.run({ x: float32([3], [1, 2, 3]), shape }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(VersusError);
    expect((error as VersusError).describe()).toMatch(/Reshape failed[\s\S]*node head\/Reshape/);
    expect((error as VersusError).message).not.toContain('onnxruntime_src');
    expect((await session.run({ x: float32([4], [1, 2, 3, 4]), shape })).y!.shape).toEqual([2, 2]);
    await session.close();
  });

  it('records the options in force and passes extra ones on', async () => {
    const session = await cpu.open(await files.write(dense()), {
      precision: 'fp32',
      threads: 2,
      optimisation: 'basic',
      arena: false,
      extra: { executionMode: 'sequential', session: { set_denormal_as_zero: '1' } },
    });
    expect(session.options).toMatchObject({
      provider: 'cpu',
      threads: 2,
      optimisation: 'basic',
      arena: false,
    });
    expect(session.options.extra).toContain('set_denormal_as_zero');
    await session.close();
    const settings: SessionSettings = {
      ...{ threads: 3, interOpThreads: 2, memoryPattern: false, arena: false },
      executionMode: 'parallel',
      optimisation: 'basic',
      entries: { 'session.intra_op.allow_spinning': '0' },
    };
    const set = await onnxruntime('cpu', { session: settings }).open(await files.write(dense()), {
      ...{ precision: 'fp32', threads: 1 },
    });
    const { entries, ...scalars } = settings;
    expect(set.options).toMatchObject({ ...scalars, threads: 1, entries: JSON.stringify(entries) });
    expect((await set.run({ x: float32([1, 3], [1, 2, 3]) })).total!.shape).toEqual([1, 1]);
    await set.close();
    for (const name of ['freeDimensionOverrides', 'enableGraphCapture', 'preferredOutputLocation']) {
      const ignored = cpu.open(await files.write(dense()), { precision: 'fp32', extra: { [name]: {} } });
      await expect(ignored).rejects.toThrow(`onnxruntime-node ignores ${name}`);
    }
    const wrong = { precision: 'fp32', extra: { executionMode: 'sideways' } } as const;
    await expect(cpu.open(await files.write(dense()), wrong)).rejects.toBeInstanceOf(VersusError);
  });

  it('passes the options of webgpu on, and says which it has not', async (context) => {
    const answer = await onnxruntime('webgpu').probe();
    if (!answer.available) return context.skip(answer.reason);
    const artifact = await files.write(dense());
    const open = (provider: Record<string, unknown>) =>
      onnxruntime('webgpu', { provider, session: { graphCapture: true } }).open(artifact, {
        precision: 'fp32',
      });
    const session = await open({ preferredLayout: 'NCHW', validationMode: 'basic' });
    expect(session.options).toMatchObject({
      graphCapture: true,
      providerOptions: '{"preferredLayout":"NCHW","validationMode":"basic"}',
    });
    for (const v of [1, 2, 3]) {
      const { total } = await session.run({ x: float32([1, 3], [v, v, v]) });
      expect(total!.data[0]).toBe(3 * v + 0.5 + 2 * v - 1);
    }
    await session.close();
    await expect(open({ nonsense: 1 })).rejects.toMatchObject({
      kind: 'usage',
      message: /no option nonsense/,
    });
    await expect(open({ preferredLayout: 'X' })).rejects.toMatchObject({
      kind: 'usage',
      message: /layout X/,
    });
  });

  it('leaves no profile behind, whether it was read or not', async () => {
    const profiles = () => readdirSync(tmpdir()).filter((name) => name.startsWith('versus-profile-'));
    const before = profiles();
    const feeds = { x: float32([1, 3], [1, 2, 3]) };
    for (const read of [true, false]) {
      const session = await cpu.open(await files.write(dense()), { precision: 'fp32', prove: true });
      expect(await session.placement()).toBeNull();
      await session.run(feeds);
      expect(profiles().length).toBeGreaterThan(before.length);
      if (read) expect((await session.placement())?.method).toBe('profile');
      await session.close();
    }
    await expect(
      cpu.open(await files.raw('broken', new Uint8Array(9)), { precision: 'fp32', prove: true }),
    ).rejects.toThrow();
    expect(profiles().filter((name) => !before.includes(name))).toEqual([]);
  });

  it('proves strays on a GPU, or refuses them when told to', async (context) => {
    const answer = await onnxruntime('webgpu').probe();
    if (!answer.available) return context.skip(answer.reason);
    // Of the operators in our table, Hardmax is one that the provider has no kernel for (onnxruntime 1.30).
    const artifact = await files.write(oneNode('Hardmax', 'float32', 17));
    const session = await onnxruntime('webgpu').open(artifact, { precision: 'fp32', prove: true });
    await session.run({ x: float32([4], [1, 3, 2, 0]) });
    const placement = await session.placement();
    expect(placement).toMatchObject({ share: 0, strays: ['Hardmax'], nodes: { CPUExecutionProvider: 1 } });
    await session.close();
    const strict = await onnxruntime('webgpu', { strict: true })
      .open(artifact, { precision: 'fp32' })
      .catch((e: unknown) => e);
    expect((strict as VersusError).kind).toBe('unsupported');
    expect((strict as VersusError).message).toMatch(/falling back to the CPU/);
  });
});
