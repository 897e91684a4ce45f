import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { Tensors } from '../../src/core/tensor.ts';
import { verifyFolder } from '../../src/verify/index.ts';
import { readSafetensors, writeSafetensors } from '../../src/weights/index.ts';
import { versus } from '../cli/versus.ts';
import { oneThread } from '../one-thread.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');
const FOLDERS = readdirSync(FIXTURES).filter((name) => /^train-/.test(name));
const cpu = oneThread();

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'versus-training-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const verify = (dir: string, backend: Backend) =>
  verifyFolder(dir, backend, { cacheDir: join(root, 'cache'), maxBytes: 1e9 });

describe('recorded training runs', () => {
  it('has the fixtures', () => expect(FOLDERS.length).toBe(7));

  it.each([
    ...FOLDERS.map((name) => [name, cpu] as const),
    ['train-clip', reference] as const,
  ])('%s', async (name, backend) => {
    const dir = join(FIXTURES, name);
    const { outputs, agrees } = await verify(dir, backend);
    expect(outputs.filter((o) => !o.agrees)).toEqual([]);
    expect(agrees).toBe(true);
    // Everything that was recorded was computed.
    const names = Object.keys(await readSafetensors(join(dir, 'io.safetensors')));
    expect(outputs.map((o) => o.name).sort()).toEqual(names.filter((n) => !n.startsWith('input.')).sort());
  });

  it('by the command line', async () => {
    const ran = await versus(root, ['verify', join(FIXTURES, 'train-resnet_bottleneck'), '--json']);
    expect(ran.stderr).toBe('');
    expect(ran.code).toBe(0);
    const { family, agrees, outputs } = JSON.parse(ran.stdout) as {
      family: string;
      agrees: boolean;
      outputs: { name: string }[];
    };
    expect({ family, agrees }).toEqual({ family: 'resnet', agrees: true });
    const kinds = new Set(outputs.map((o) => o.name.split('.')[0]));
    expect([...kinds].sort()).toEqual(['after_forward', 'final', 'grad', 'output']);
  });
});

describe('a training run that is not right', () => {
  /** A copy of a fixture with something changed. */
  const changed = async (name: string, file: string, change: (tensors: Tensors) => void): Promise<string> => {
    const dir = join(mkdtempSync(join(root, 'own-')), name);
    cpSync(join(FIXTURES, name), dir, { recursive: true });
    const tensors = await readSafetensors(join(dir, file));
    change(tensors);
    await writeSafetensors(join(dir, file), tensors);
    return dir;
  };
  const floats = (tensors: Tensors, name: string): Float32Array => tensors[name]!.data as Float32Array;

  it('differs in that alone', async () => {
    const dir = await changed('train-lora-randB', 'io.safetensors', (t) => {
      const grad = Object.keys(t).find((n) => n.startsWith('grad.'))!;
      floats(t, grad)[3]! += 1e-3;
      floats(t, 'output.losses')[1]! += 1e-4;
      floats(t, 'final.model.layers.0.self_attn.q_proj.lora_B.weight')[0]! += 1e-3;
    });
    const { outputs, agrees } = await verify(dir, cpu);
    expect(agrees).toBe(false);
    expect(outputs.filter((o) => !o.agrees).map((o) => [o.name.split('.')[0], o.problem])).toEqual([
      ['final', '1 of 128 elements differ by more than they may'],
      ['grad', '1 of 128 elements differ by more than they may'],
      ['output', '1 of 3 elements differ by more than they may'],
    ]);
  });

  it('starts elsewhere, and everything differs', async () => {
    const dir = await changed('train-llama', 'weights.safetensors', (t) => {
      floats(t, 'model.embed_tokens.weight').forEach((x, i, all) => {
        all[i] = x * 1.1;
      });
    });
    const { outputs } = await verify(dir, cpu);
    expect(outputs.find((o) => o.name === 'output.loss')!.agrees).toBe(false);
  });

  it('has a label that is no class', async () => {
    const dir = await changed('train-vit', 'io.safetensors', (t) => {
      (t['input.labels']!.data as BigInt64Array)[2] = 9n;
    });
    await expect(verify(dir, cpu)).rejects.toThrow('label 9 of sample 2 is none of 5 classes');
  });
});

describe('recorded operators', () => {
  it('have the gradients of torch', async () => {
    const { family, outputs } = await verify(join(FIXTURES, 'ops-grad'), cpu);
    expect(family).toBe('operators');
    expect(outputs.filter((o) => !o.agrees).map((o) => `${o.name}: ${o.problem ?? o.max_abs}`)).toEqual([]);
    const cases = new Set(outputs.map((o) => o.name.split('/')[0]));
    expect(cases.size).toBe(93);
  });
});
