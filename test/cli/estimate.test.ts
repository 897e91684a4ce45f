import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { atResolution } from '../../src/commands/resolution.ts';
import { model } from '../../src/zoo/index.ts';
import { type Ran, versus, versusEach } from './versus.ts';

const WRONG = [
  [['vit-tiny', '--device', 'h100'], /unknown device 'h100'/],
  [['vit-tiny', '--precision', 'fp64'], /fp64/],
  [['vit-tiny', '--resolution', 'wide'], /--resolution: expected N or HEIGHTxWIDTH/],
  [['qwen2-tiny', '--resolution', '224'], /no image size/],
  [['vit-tiny', '--train', 'some', '--device', 'l4'], /some/],
  [['qwen2-tiny', '--scope', 'vision', '--device', 'l4'], /no scope 'vision'/],
  [['vit-tiny', '--lora', 'targets=nothing', '--device', 'l4'], /'nothing' fits no module/],
] as const satisfies readonly (readonly [readonly string[], RegExp])[];

const LORA = ['llava-tiny', '--scope', 'decoder', '--lora', 'r=4,targets=q_proj', '--device', 'l4'];

describe('versus estimate', () => {
  let dir: string;
  let lora: Ran;
  let wrong: Ran[];
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'versus-estimate-'));
    const lines = [LORA, ...WRONG.map(([args]) => args)].map((args) => ['estimate', ...args]);
    [lora, ...wrong] = (await versusEach(dir, lines)) as [Ran, ...Ran[]];
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('answers for a model that no machine here could hold, as a document', async () => {
    const asked = ['qwen2-72b', '--precision', 'int4', '--device', 'h200,t4', '--json'];
    const ran = await versus(dir, ['estimate', ...asked]);
    expect(ran.code).toBe(0);
    const answer = JSON.parse(ran.stdout);
    expect(Object.keys(answer)).toEqual([
      ...['kind', 'model', 'family', 'task', 'parameters', 'published', 'request', 'weight_bytes'],
      ...['cache_bytes_per_token', 'devices', 'training'],
    ]);
    expect(answer.kind).toBe('estimate');
    expect(answer.parameters).toBe(72_706_203_648);
    const [h200, t4] = answer.devices;
    expect([h200.fits, t4.fits]).toEqual([true, false]);
    expect(h200.phases.map((p: { name: string }) => p.name)).toEqual(['prefill', 'decode']);
    expect(answer.training).toBeNull();
  });

  it('says of a training step what learns and what it takes', () => {
    expect(lora.stdout).toContain('an estimate, nothing was run');
    // Two layers, rank 4, 64 features in and out.
    expect(lora.stdout).toContain('One training step (lora, scope decoder, adamw): 1,024 numbers learn');
    expect(lora.stdout).toMatch(/\| weights +\| frozen +\| gradients +\| optimiser .*\| arena +\| peak +\|/);
  });

  it.each(
    WRONG.map(([args, message], i) => [args, message, i] as const),
  )('answers %j with exit 2 and what was meant', (_, message, i) => {
    expect(wrong[i]!.stderr).toMatch(message);
    expect(wrong[i]!.code).toBe(2);
  });
});

describe('an image size', () => {
  it('is a hyperparameter, or what the processor makes of the image', () => {
    expect(atResolution(model('vit-tiny'), '96x128').config).toMatchObject({ image: [96, 128] });
    // 1080 × 1920 is 728 × 1316 within a megapixel in the reference's table; unbounded it keeps its multiples of 28.
    expect(atResolution(model('qwen2-vl-2b'), '1080x1920').dims?.tokens).toBe((1092 / 28) * (1932 / 28));
    expect(atResolution(model('phi-3.5-vision'), '1008x1344').dims).toMatchObject({ rows: 3, columns: 4 });
  });
});
