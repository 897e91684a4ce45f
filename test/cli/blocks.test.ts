import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../src/weights/index.ts';
import { versus, versusEach, workspace } from './versus.ts';

interface Line {
  readonly type: string;
  readonly pass: string;
  readonly case_id: string;
  readonly backend: string;
  readonly status: string;
  readonly reason: string | null;
  readonly parity: { agrees: boolean; tolerance: number; max_rel: number } | null;
  readonly facts: { parameters: number; macs: number; weight_bytes: number } | null;
}

describe('versus with weights in blocks', () => {
  const place = workspace();
  const at = (...names: string[]) => join(place.dir, ...names);
  let cases: Line[];
  beforeAll(async () => {
    // A head that reaches a block of 32.
    const text = readFileSync(at('suite.ts'), 'utf8');
    writeFileSync(at('suite.ts'), text.replace("edgeNet('edge-net-16', 16)", "edgeNet('edge-net-40', 40)"));
    const asked = ['--model', 'wide', '--precision', 'int4', '--backend', 'onnxruntime-cpu', 'plugin'];
    const ran = await versus(place.dir, ['run', '--profile', 'smoke', ...asked, '--json']);
    // One of the two backends has no such precision.
    expect(ran.code).toBe(3);
    const { records } = JSON.parse(ran.stdout) as { records: string };
    const lines = readFileSync(records, 'utf8').trim().split('\n');
    cases = lines.map((l) => JSON.parse(l) as Line).filter((l) => l.type === 'case');
  }, 120_000);
  afterAll(() => place.remove());

  it('measures them, checked against the same blocks on the reference', () => {
    const of = cases.filter((c) => c.backend === 'onnxruntime-cpu');
    const check = of.find((c) => c.pass === 'check')!;
    expect(check.case_id).toBe('widths/classify/wide/onnxruntime-cpu/int4/b2');
    expect(check.status).toBe('ok');
    expect(check.parity).toMatchObject({ agrees: true, tolerance: 1e-3 });
    expect(of.filter((c) => c.pass === 'speed').map((c) => c.status)).toEqual(['ok', 'ok']);
    // The model is what it was: a 3 × 3 convolution and a head of 4 × 40. Stored, the head is 8 blocks of 20 bytes.
    const [stem, head, bias] = [40 * 27, 4 * 40, 4];
    expect(check.facts).toMatchObject({
      parameters: stem + head + bias,
      weight_bytes: 4 * (stem + bias) + 8 * 20,
    });
  });

  it('says that a backend has no such precision', () => {
    expect(cases.filter((c) => c.backend === 'plugin').map((c) => [c.status, c.reason])).toEqual([
      ['unsupported', expect.stringMatching(/^plugin has no int4 on /)],
    ]);
  });

  it('exports them', async () => {
    const out = at('exported');
    const [ran, refused] = await versusEach(
      place.dir,
      ['int8', 'int5'].map((precision) => ['export', 'edge-net-40', '--precision', precision, '--out', out]),
    );
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const weights = await readSafetensors(join(out, 'weights.safetensors'));
    expect(weights['head.weight_Q8']).toMatchObject({ dtype: 'uint8', shape: [4, 2, 32] });
    expect(refused!.code).toBe(2);
    expect(refused!.stderr).toMatch(/int8|int4/);
  }, 120_000);
});
