import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { graphCost } from '../../src/graph/cost.ts';
import { model } from '../../src/zoo/index.ts';
import { type Ran, versus, versusEach } from './versus.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');
const FIGURES = ['operator', 'count', 'ms', 'share', 'macs', 'bytes', 'gflops', 'gbytes', 'share_of_flops'];
const ROW = [...FIGURES, 'share_of_bandwidth', 'devices'];

interface Row {
  readonly operator: string;
  readonly count: number;
  readonly ms: number;
  readonly share: number;
  readonly macs: number | null;
  readonly gflops: number | null;
}

const WRONG = [
  [['nothing'], 2, /unknown model 'nothing'/],
  [['clip-tiny'], 2, /clip-tiny has 3 graphs[\s\S]*--graph vision/],
  [['vit-tiny', '--backend', 'reference'], 3, /does not tell how long its nodes take/],
  [
    ['vit-tiny', '--backend', 'onnxruntime-webgpu'],
    3,
    /onnxruntime-webgpu cannot run here: no WebGPU adapter/,
  ],
] as const satisfies readonly (readonly [readonly string[], number, RegExp])[];

const FILE = [join(FIXTURES, 'onnx-resnet-bn', 'model.onnx'), '--rounds', '1', '--by', 'node', '--top', '3'];
/** A driver list that leads nowhere, as on a machine without Vulkan. */
const NO_VULKAN = { VK_ICD_FILENAMES: '/nonexistent/icd.json', VK_DRIVER_FILES: '/nonexistent/icd.json' };

describe('versus profile', () => {
  let dir: string;
  let file: Ran;
  let wrong: Ran[];
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'versus-profile-cli-'));
    const lines = [FILE, ...WRONG.map(([args]) => args)].map((args) => ['profile', ...args, '--no-peak']);
    [file, ...wrong] = (await versusEach(dir, lines, NO_VULKAN)) as [Ran, ...Ran[]];
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const sum = (rows: readonly Row[], of: (row: Row) => number) => rows.reduce((all, row) => all + of(row), 0);

  it('is a document in which the parts add up', async () => {
    const asked = ['vit-tiny', '--no-peak', '--rounds', '3', '--batch', '2', '--threads', '1', '--top', '0'];
    const ran = await versus(dir, ['profile', ...asked, '--json']);
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    const answer = JSON.parse(ran.stdout);
    expect(Object.keys(answer)).toEqual([
      ...['kind', 'model', 'graph', 'backend', 'version', 'device', 'precision', 'batch', 'dims', 'rounds'],
      ...['options', 'run_ms', 'nodes_ms', 'macs', 'peak', 'devices', 'operators', 'node_count', 'nodes'],
    ]);
    expect(answer).toMatchObject({
      ...{
        kind: 'profile',
        model: 'vit-tiny',
        graph: 'model',
        backend: 'onnxruntime-cpu',
        precision: 'fp32',
      },
      ...{ batch: 2, dims: { batch: 2 }, rounds: 3, peak: { gflops: null, gbytes: null } },
    });
    expect(answer.options.threads).toBe(1);
    expect(Object.keys(answer.operators[0])).toEqual(ROW);
    expect(Object.keys(answer.nodes[0])).toEqual(['name', ...ROW, 'inputs', 'outputs']);
    expect(answer.nodes).toHaveLength(answer.node_count);
    for (const rows of [answer.operators, answer.nodes] as Row[][]) {
      expect(sum(rows, (row) => row.count)).toBe(answer.node_count);
      expect(sum(rows, (row) => row.share)).toBeCloseTo(1, 9);
      expect(sum(rows, (row) => row.ms)).toBeCloseTo(answer.nodes_ms, 9);
      expect(rows.map((row) => row.ms)).toEqual(rows.map((row) => row.ms).sort((a, b) => b - a));
      for (const { macs, ms, gflops } of rows) {
        if (macs && ms > 0) expect(gflops).toBeCloseTo((2 * macs) / ms / 1e6, 6);
      }
    }
    const vit = model('vit-tiny');
    const graph = (await vit.build(vit.config)).model!;
    expect(answer.macs).toBe(graphCost(graph, { batch: 2 }).macs);
  });

  it('takes a file, and shows its slowest nodes with their shapes', () => {
    expect(file.code).toBe(0);
    expect(file.stdout).toMatch(/^model\.onnx, graph model, on onnxruntime-cpu \S+ \(.+\), fp32, batch=1\n/);
    expect(file.stdout).toMatch(/CPUExecutionProvider: \d+ nodes, 100% of the time/);
    expect(file.stdout.split('\n').filter((line) => /\[[\d,]+\] → \[[\d,]+\]/.test(line))).toHaveLength(3);
    expect(file.stdout).toMatch(/\d+ more nodes: --top 0 shows all of them/);
  });

  it.each(
    WRONG.map(([args, code, message], i) => [args, code, message, i] as const),
  )('answers %j with exit %i and what was meant', (_, code, message, i) => {
    expect(wrong[i]!.stderr).toMatch(message);
    expect([wrong[i]!.code, wrong[i]!.stdout]).toEqual([code, '']);
  });
});
