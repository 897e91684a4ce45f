import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../src/weights/index.ts';
import { versus, workspace } from './versus.ts';

interface Line {
  readonly type: string;
  readonly pass: string;
  readonly case_id: string;
  readonly status: string;
  readonly reason: string | null;
  readonly parity: { agrees: boolean; tolerance: number; max_rel: number } | null;
  readonly facts: { parameters: number; macs: number; weight_bytes: number } | null;
}

describe('versus with weights in blocks', () => {
  const place = workspace();
  const at = (...names: string[]) => join(place.dir, ...names);
  const run = async (...args: string[]) => {
    const ran = await versus(place.dir, ['run', '--profile', 'smoke', '--model', 'wide', '--json', ...args]);
    const { records, exit_code } = JSON.parse(ran.stdout) as { records: string; exit_code: number };
    const lines = readFileSync(records, 'utf8').trim().split('\n');
    return { exit_code, cases: lines.map((l) => JSON.parse(l) as Line).filter((l) => l.type === 'case') };
  };
  beforeAll(() => {
    // A head that reaches a block of 32.
    const text = readFileSync(at('suite.ts'), 'utf8');
    writeFileSync(at('suite.ts'), text.replace("edgeNet('edge-net-16', 16)", "edgeNet('edge-net-40', 40)"));
  });
  afterAll(() => place.remove());

  it('measures them, checked against the same blocks on the reference', async () => {
    const four = await run('--precision', 'int4', '--backend', 'onnxruntime-cpu');
    expect(four.exit_code).toBe(0);
    const check = four.cases.find((c) => c.pass === 'check')!;
    expect(check.case_id).toBe('widths/classify/wide/onnxruntime-cpu/int4/b2');
    expect(check.status).toBe('ok');
    expect(check.parity).toMatchObject({ agrees: true, tolerance: 1e-3 });
    expect(four.cases.filter((c) => c.pass === 'speed').map((c) => c.status)).toEqual(['ok', 'ok']);
    // The model is what it was: a 3 × 3 convolution and a head of 4 × 40. Stored, the head is 8 blocks of 20 bytes.
    const [stem, head, bias] = [40 * 27, 4 * 40, 4];
    expect(check.facts).toMatchObject({
      parameters: stem + head + bias,
      weight_bytes: 4 * (stem + bias) + 8 * 20,
    });
  }, 120_000);

  it('says that a backend has no such precision', async () => {
    const { cases } = await run('--precision', 'int4', '--backend', 'plugin');
    expect(cases.map((c) => [c.status, c.reason])).toEqual([
      ['unsupported', expect.stringMatching(/^plugin has no int4 on /)],
    ]);
  }, 120_000);

  it('exports them', async () => {
    const out = at('exported');
    const ran = await versus(place.dir, ['export', 'edge-net-40', '--precision', 'int8', '--out', out]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const weights = await readSafetensors(join(out, 'weights.safetensors'));
    expect(weights['head.weight_Q8']).toMatchObject({ dtype: 'uint8', shape: [4, 2, 32] });
    const refused = await versus(place.dir, ['export', 'edge-net-40', '--precision', 'int5', '--out', out]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/int8|int4/);
  }, 120_000);
});
