import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { type Ran, versus } from '../cli/versus.ts';

const ROOT = resolve(import.meta.dirname, '../..');

const image = (shape: Graph['inputs'][0]['shape'], op: string, domain = ''): Graph => ({
  ...{ name: op, opset: { '': 17, ...(domain && { [domain]: 1 }) }, params: [] },
  inputs: [{ name: 'pixel_values', dtype: 'float32', shape }],
  outputs: [{ name: 'y', dtype: 'float32', shape }],
  nodes: [{ op, domain, name: `layer.3/${op}`, inputs: ['pixel_values'], outputs: ['y'], attrs: {} }],
});

const FILES = {
  gelu: image([1, 3, 4, 4], 'SampleOp', 'com.microsoft'),
  open: image(['batch', 3, 'height', 'width'], 'Tanh'),
};

describe("a run of users' own files", () => {
  let dir: string;
  let ran: Ran;
  let lines: Record<string, unknown>[];
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'versus-foreign-'));
    symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
    for (const [name, graph] of Object.entries(FILES)) {
      writeFileSync(join(dir, `${name}.onnx`), encodeOnnx(graph));
    }
    writeFileSync(
      join(dir, 'bench.config.ts'),
      `import { onnxruntime } from '${ROOT}/src/backends/onnxruntime/index.ts';
import { reference } from '${ROOT}/src/backends/reference.ts';
import { openOnnx } from '${ROOT}/src/graph/onnx/index.ts';
import { defineConfig } from '${ROOT}/src/index.ts';
import { classify } from '${ROOT}/src/workloads/classify.ts';
const own = (name: string) => {
  const path = \`${dir}/\${name}.onnx\`;
  return { name, family: 'onnx', task: 'classify' as const, config: {}, files: { model: path },
    build: async () => ({ model: (await openOnnx(path)).graph }) };
};
export default defineConfig({
  suites: [{ name: 'own', question: 'do they run?', headline: ['latency'],
    arms: ${JSON.stringify(Object.keys(FILES))}.map((name) => ({ name, model: own(name) })),
    uses: [{ workload: classify, params: {}, batches: [{ size: 1 }] }] }],
  backends: [reference, onnxruntime('cpu'), onnxruntime('cuda')],
});
`,
    );
    ran = await versus(dir, ['run', '--backend', 'reference', '--rounds', '1', '--json', '--quiet']);
    const { records } = JSON.parse(ran.stdout) as { records: string };
    lines = readFileSync(records, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const check = (arm: string) => lines.find((l) => l.type === 'case' && l.arm === arm && l.pass === 'check');

  it('names what a backend lacks, the node, its operator set, and the backends that have it', () => {
    const record = check('gelu')!;
    expect(record.status).toBe('unsupported');
    for (const part of ['com.microsoft:SampleOp', 'com.microsoft 1', 'node layer.3/SampleOp']) {
      expect(record.reason).toContain(part);
    }
    expect(record.reason).toMatch(/backends here that support it: onnxruntime-cpu$/);
  });

  it('asks for open dimensions by name, in the words of the config', () => {
    const reason = lines.find((l) => l.type === 'case' && l.arm === 'open' && l.reason)!.reason;
    expect(reason).toContain('the size of dimension height is open');
    expect(reason).toContain('dims: { "height": 224 }');
    expect(check('open')!.reason).toContain('height');
  });

  it('times nothing of them', () => {
    expect(ran.code).toBe(3);
    expect(lines.filter((l) => l.pass === 'speed' || l.pass === 'memory')).toEqual([]);
  });
});
