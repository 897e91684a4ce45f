import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import type { Graph } from '../../src/core/graph.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { versus } from '../cli/versus.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const SEQUENCE = 48;
const WIDTH = 32;

/** An image as a sequence of 48 tokens, onnxruntime's fused attention over them, and their sum as logits. */
const fused: Graph = {
  name: 'fused',
  opset: { '': 17, 'com.microsoft': 1 },
  inputs: [{ name: 'pixel_values', dtype: 'float32', shape: [1, 3, 16, 32] }],
  outputs: [{ name: 'logits', dtype: 'float32', shape: [1, WIDTH] }],
  params: [
    { name: 'tokens', dtype: 'int64', shape: [3], role: 'constant', data: BigInt64Array.of(1n, 48n, 32n) },
  ],
  nodes: [
    { op: 'Reshape', name: 'as tokens', inputs: ['pixel_values', 'tokens'], outputs: ['x'], attrs: {} },
    { op: 'Tanh', name: 'bounded', inputs: ['x'], outputs: ['q'], attrs: {} },
    {
      ...{ op: 'MultiHeadAttention', domain: 'com.microsoft', name: 'layer.0/attention' },
      ...{ inputs: ['q', 'x', 'x'], outputs: ['a'], attrs: { num_heads: 2 } },
    },
    {
      op: 'ReduceMean',
      name: 'pooled',
      inputs: ['a'],
      outputs: ['logits'],
      attrs: { axes: [1], keepdims: 0 },
    },
  ],
};

const webgpu = await onnxruntime('webgpu').probe();
const reason = webgpu.available ? null : `onnxruntime-webgpu: ${webgpu.reason}`;

/* onnxruntime 1.25 to 1.30 computes fused attention wrongly on WebGPU from a sequence of 32 on. */
describe.skipIf(reason !== null)(`fused attention on WebGPU${reason ? ` (skipped: ${reason})` : ''}`, () => {
  let dir: string;
  let path: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'versus-attention-'));
    path = join(dir, 'fused.onnx');
    writeFileSync(path, encodeOnnx(fused));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('is caught by verify, and --bisect names the node', async () => {
    expect(SEQUENCE).toBeGreaterThanOrEqual(32);
    const ran = await versus(dir, ['verify', path, '--backend', 'onnxruntime-webgpu', '--bisect', '--json']);
    expect(ran.code, ran.stderr).toBe(3);
    expect(ran.stdout, ran.stderr).not.toBe('');
    const found = JSON.parse(ran.stdout) as { bisections: unknown[]; reference: string };
    expect(found).toMatchObject({ agrees: false, reference: 'onnxruntime-cpu' });
    expect(found.bisections).toMatchObject([
      {
        ...{ backend: 'onnxruntime-webgpu', outcome: 'node' },
        node: {
          ...{ name: 'layer.0/attention', op: 'MultiHeadAttention', domain: 'com.microsoft', opset: 1 },
          attributes: { num_heads: 2 },
          inputs: ['q', 'x'].map((name) => ({ name, shape: [1, SEQUENCE, WIDTH] })),
          alone: { differs: true },
        },
      },
    ]);
  });

  it('makes the case invalid in a run, and nothing of it is timed', async () => {
    symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
    writeFileSync(
      join(dir, 'bench.config.ts'),
      `import { onnxruntime } from '${ROOT}/src/backends/onnxruntime/index.ts';
import { openOnnx } from '${ROOT}/src/graph/onnx/index.ts';
import { defineConfig } from '${ROOT}/src/index.ts';
import { classify } from '${ROOT}/src/workloads/classify.ts';
const path = ${JSON.stringify(path)};
const model = { name: 'fused', family: 'onnx', task: 'classify' as const, config: {}, files: { model: path },
  build: async () => ({ model: (await openOnnx(path)).graph }) };
export default defineConfig({
  suites: [{ name: 'own', question: 'is it right?', headline: ['latency'], arms: [{ name: 'fused', model }],
    uses: [{ workload: classify, params: {}, batches: [{ size: 1 }] }] }],
  backends: [onnxruntime('cpu'), onnxruntime('webgpu')],
});
`,
    );
    const ran = await versus(dir, [
      ...['run', '--backend', 'onnxruntime-webgpu', '--rounds', '1', '--json', '--quiet'],
    ]);
    expect(ran.code).toBe(3);
    const { records, counts } = JSON.parse(ran.stdout) as { records: string; counts: object };
    expect(counts).toEqual({ invalid: 1 });
    expect(existsSync(records) && readdirSync(dir)).toBeTruthy();
    const lines = readFileSync(records, 'utf8')
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l) as Record<string, unknown>);
    const check = lines.find((l) => l.type === 'case' && l.pass === 'check');
    expect(check).toMatchObject({
      status: 'invalid',
      reason: expect.stringContaining('outputs differ from onnxruntime-cpu'),
    });
    expect(lines.filter((l) => l.pass === 'speed' || l.pass === 'memory')).toEqual([]);
  });
});
