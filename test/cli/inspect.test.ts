import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loraOption } from '../../src/commands/lora-option.ts';
import { type Ran, versus, versusEach, workspace } from './versus.ts';

const place = workspace();
afterAll(() => place.remove());
const ONNX = resolve(import.meta.dirname, '../fixtures/onnx-vit/model.onnx');

describe('--lora', () => {
  it.each([
    ['r=8,alpha=16,targets=q_proj,v_proj', { r: 8, alpha: 16, targets: ['q_proj', 'v_proj'] }],
    ['targets=q_proj|v_proj,r=4', { r: 4, alpha: 8, targets: ['q_proj', 'v_proj'] }],
    [' targets = a , b , alpha = 1', { r: 8, alpha: 1, targets: ['a', 'b'] }],
    ['targets=all-linear,r=2', { r: 2, alpha: 8, targets: 'all-linear' }],
    [
      'targets=/layers\\.\\d{1,2}\\.(q|v)_proj/,r=2',
      { r: 2, alpha: 8, targets: /layers\.\d{1,2}\.(q|v)_proj/ },
    ],
  ])('%s', (text, spec) => {
    expect(loraOption(text)).toEqual(spec);
  });

  it.each([
    ['r=8', /names no targets/],
    ['', /names no targets/],
    ['targets=', /names no targets/],
    ['q_proj,v_proj', /'q_proj' is no setting/],
    ['r=8,16,targets=a', /'16' is no setting/],
    ['rank=8,targets=a', /unknown setting 'rank'/],
    ['r=8,r=9,targets=a', /'r' is there twice/],
    ['r=0,targets=a', /--lora r/],
    ['r=1.5,targets=a', /--lora r/],
    ['r=99999999999,targets=a', /at most/],
    ['targets=/(/', /Invalid regular expression/],
  ])('%s is refused', (text, message) => {
    expect(() => loraOption(text)).toThrow(message);
  });
});

const WRONG = [
  [
    ['qwen2-tiny', '--scope', 'vision'],
    /qwen2-tiny has no scope 'vision'[\s\S]*scopes of qwen2-tiny: decoder, full/,
  ],
  [['vit-tiny', '--lora', 'targets=qeury'], /'qeury' fits no module[\s\S]*'query'/],
] as const satisfies readonly (readonly [readonly string[], RegExp])[];
const RIGHT = [
  [ONNX, '--depth', 'all'],
  [ONNX, '--json', '--lora', 'r=2,targets=/.*mlp\\.[03]/'],
  ['edge-net-8', '--scope', 'full', '--json'],
  ['--help'],
];

describe('versus inspect', () => {
  let right: Ran[];
  let wrong: Ran[];
  beforeAll(async () => {
    const lines = [...RIGHT, ...WRONG.map(([args]) => args)].map((args) => ['inspect', ...args]);
    const ran = await versusEach(place.dir, lines);
    right = ran.slice(0, RIGHT.length);
    wrong = ran.slice(RIGHT.length);
  });

  it.each(
    WRONG.map(([args, message], i) => [args, message, i] as const),
  )('answers %j with exit 2 and what was meant', (_, message, i) => {
    const { code, stdout, stderr } = wrong[i]!;
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('prints a tree that keeps to the columns, plain where it is no terminal', async () => {
    const env = { NO_COLOR: '', CI: '1', COLUMNS: '80' };
    const ran = await versus(place.dir, ['inspect', 'vit-tiny', '--lora', 'targets=query,value'], { env });
    expect(ran.code).toBe(0);
    const lines = ran.stdout.split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(ran.stdout).not.toContain('\u001b');
    expect(ran.stdout).toMatch(/^ {8}\(0-3\): 4 × /m);
    expect(ran.stdout).toContain('r=8, alpha=8: trains 8,192 of ');
  });

  it('reads any ONNX file', () => {
    const [text, document] = right;
    expect(text!.stdout).toMatch(/\(encoder_layer_0-1\): 2 × 18,960/);
    const json = JSON.parse(document!.stdout);
    expect(json).toMatchObject({
      name: 'model.onnx',
      parameters: 48_634,
      parts: [],
      scopes: ['full'],
      scope: null,
    });
    expect(json.children).toEqual(['conv_proj', 'encoder', 'heads']);
    expect(json.lora.trainable).toBe(2 * 2 * 2 * (48 + 96));
    expect(json.lora.modules[0]).toMatchObject({
      module: 'encoder.layers.encoder_layer_0.mlp.0',
      tensor: 'onnx::MatMul_318',
    });
  });

  it('says what a scope trains', () => {
    const json = JSON.parse(right[2]!.stdout);
    expect(json.scope).toEqual({ name: 'full', trainable: json.parameters, frozen: 0, share: 1, unread: 0 });
    expect(json.tree.children.map((m: { name: string; trainable: number }) => [m.name, m.trainable])).toEqual(
      [
        ['stem', 216],
        ['head', 36],
      ],
    );
  });

  it('has help with examples', () => {
    const { stdout } = right[3]!;
    for (const option of ['--depth', '--scope', '--lora', 'Examples:']) expect(stdout).toContain(option);
  });
});
