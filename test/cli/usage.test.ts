import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ran, versus, versusEach, workspace } from './versus.ts';

const place = workspace();
afterAll(() => place.remove());

const WRONG = [
  [['rum'], /Did you mean run/],
  [['run', '--bakend', 'x'], /Did you mean --backend/],
  [['run', 'width'], /unknown suite 'width'[\s\S]*'widths'/],
  [['run', '--backend', 'onnxruntime-cpo'], /unknown backend[\s\S]*onnxruntime-cpu/],
  [['run', '--model', 'edge-nut-8'], /unknown model[\s\S]*edge-net-8/],
  [['run', '--profile', 'smok'], /unknown profile[\s\S]*smoke/],
  [['run', '--rounds', '0'], /--rounds/],
  [['run', '--shard', '3'], /--shard/],
  [['inspect', 'resnet-5'], /unknown model[\s\S]*resnet-50/],
  [['list', 'model'], /models/],
  [['verify', 'nowhere'], /nowhere/],
  [['verify', 'gone.onnx'], /nothing at .*gone\.onnx/],
  [['verify', 'vit-tiny', '--precision', 'fp8'], /unknown precision 'fp8'/],
  [['verify', 'vit-tiny', '--dim', 'sequence'], /--dim: expected NAME=N/],
  [['report', 'nothing'], /no run/],
  [['compare', 'a', 'b'], /no run/],
  [['--config', 'gone.ts', 'list'], /no config file/],
] as const satisfies readonly (readonly [readonly string[], RegExp])[];

describe('the command line', () => {
  let listed: Ran;
  let inspected: Ran;
  let wrong: Ran[];
  beforeAll(async () => {
    const looks = [
      ['list', '--json'],
      ['inspect', 'resnet-50', '--json'],
    ];
    const ran = await versusEach(place.dir, [...looks, ...WRONG.map(([args]) => args)]);
    [listed, inspected, ...wrong] = ran as [Ran, Ran, ...Ran[]];
  });

  it.each(
    WRONG.map(([args, message], i) => [args, message, i] as const),
  )('answers %j with exit 2 and what was meant', (_, message, i) => {
    const ran = wrong[i]!;
    expect(ran.stderr).toMatch(message);
    expect(ran.code).toBe(2);
    expect(ran.stderr).not.toMatch(/\n\s+at .*\(.*:\d+:\d+\)/);
  });

  it('has help with examples for every command', async () => {
    const root = await versus(place.dir, ['--help']);
    expect(root.code).toBe(0);
    expect(root.stdout).toContain('Examples:');
    const list = /^Commands:\n(.*?)\n\n/ms.exec(root.stdout)![1]!;
    const commands = [...list.matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1]!);
    expect(commands).toEqual(
      expect.arrayContaining(['run', 'report', 'compare', 'gate', 'list', 'inspect', 'verify']),
    );
    const helps = await versusEach(
      place.dir,
      commands.map((command) => [command, '--help']),
    );
    for (const { code, stdout } of helps) {
      expect(code).toBe(0);
      // A group of commands has them in the help of each.
      if (!/^Usage: .*\[command\]/.test(stdout)) expect(stdout).toContain('Examples:');
    }
  });

  it('lists and inspects as JSON', () => {
    const list = JSON.parse(listed.stdout) as Record<string, { name: string }[]>;
    expect(list.suites!.map((suite) => suite.name)).toEqual(['widths']);
    expect(list.models!.map((model) => model.name)).toEqual(
      expect.arrayContaining(['edge-net-8', 'vit-b-16']),
    );
    const resnet = JSON.parse(inspected.stdout) as Record<string, unknown>;
    expect(resnet).toMatchObject({ name: 'resnet-50', parameters: 25557032, macs: expect.any(Number) });
    expect(Object.keys(resnet.graphs as object)).toEqual(['model']);
  });

  it('looks at models without a config in the folder, but measures nothing there', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'versus-bare-'));
    const [looked, measured] = await versusEach(elsewhere, [['inspect', 'vit-tiny', '--json'], ['run']]);
    rmSync(elsewhere, { recursive: true });
    expect(looked!.code).toBe(0);
    expect(JSON.parse(looked!.stdout)).toMatchObject({ name: 'vit-tiny' });
    expect(measured!.code).toBe(2);
    expect(measured!.stderr).toContain('no bench.config.ts');
  });

  it('doctor names every backend and whether it can run', async () => {
    const ran = await versus(place.dir, ['doctor', '--json']);
    const { backends } = JSON.parse(ran.stdout) as { backends: { name: string; available: boolean }[] };
    expect(ran.code).toBe(0);
    expect(backends.find((backend) => backend.name === 'onnxruntime-cpu')?.available).toBe(true);
  });

  it('says file and line of a broken config', async () => {
    const broken = join(place.dir, 'broken.config.ts');
    writeFileSync(broken, "import x from './z.ts';\nexport default { a: 1,\n  b: = 2 };\n");
    const ran = await versus(place.dir, ['--config', broken, 'list']);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toMatch(/syntax error[\s\S]*broken\.config\.ts:3:\d+/);
  });
});
