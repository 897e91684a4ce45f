import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');

/** Which part of the house may import which; the order of the rows is the order of the floors. */
const ALLOWED: Record<string, readonly string[]> = {
  core: [],
  graph: ['core'],
  stats: ['core'],
  data: ['core'],
  transform: ['graph', 'core'],
  zoo: ['graph', 'core'],
  weights: ['transform', 'graph', 'core'],
  backends: ['graph', 'core'],
  workloads: ['data', 'graph', 'core'],
  report: ['stats', 'core'],
  gate: ['stats', 'core'],
  verify: ['zoo', 'weights', 'graph', 'stats', 'core'],
  config: ['core'],
  run: ['config', 'weights', 'stats', 'core'],
  commands: ['*'],
  cli: ['commands', 'core'],
  index: ['*'],
};

/** npm runtimes and heavy packages that only one folder may know. */
const ONLY_IN: Record<string, readonly string[]> = {
  'onnxruntime-node': ['backends'],
  'onnxruntime-common': ['backends'],
  sharp: ['data'],
  'chart.js': ['report'],
  'chartjs-node-canvas': ['report'],
  canvas: ['report'],
  tinybench: ['run'],
  commander: ['cli'],
  '@bufbuild/protobuf': ['graph'],
  '@huggingface/tokenizers': ['data'],
};

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file));
}

function partOf(file: string): string {
  const [, part] = file.split(/[/\\]/);
  return part!.replace(/\.ts$/, '');
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [
    ...text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s*'([^']+)'|import\(\s*'([^']+)'\s*\)/g),
  ].map((match) => match[1] ?? match[2]!);
}

describe('the house', () => {
  const files = sources('src');

  it('has every part of src in the table', () => {
    expect([...new Set(files.map(partOf))].filter((part) => !(part in ALLOWED))).toEqual([]);
  });

  it('imports downward only', () => {
    const wrong = files.flatMap((file) => {
      const allowed = ALLOWED[partOf(file)] ?? [];
      return importsOf(file)
        .filter((target) => target.startsWith('.'))
        .map((target) => relative(root, resolve(root, dirname(file), target)))
        .filter((target) => !target.startsWith('src') || partOf(target) !== partOf(file))
        .filter(
          (target) =>
            !allowed.includes('*') && !(target.startsWith('src') && allowed.includes(partOf(target))),
        )
        .map((target) => `${file} → ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it('keeps each npm runtime in one folder', () => {
    const wrong = files.flatMap((file) =>
      importsOf(file).flatMap((target) => {
        const owner = Object.keys(ONLY_IN).find((name) => target === name || target.startsWith(`${name}/`));
        return owner && !ONLY_IN[owner]!.includes(partOf(file)) ? [`${file} → ${target}`] : [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('lets suites, datasets and the config see only what plugins may see', () => {
    const hidden = ['run', 'cli', 'commands', 'report/write'];
    const plugins = [...sources('suites'), ...sources('datasets'), 'bench.config.ts'];
    const wrong = plugins.flatMap((file) =>
      importsOf(file)
        .filter((target) => target.startsWith('.'))
        .map((target) => relative(root, resolve(root, dirname(file), target)))
        .filter((target) =>
          hidden.some((part) => target.startsWith(`src/${part}/`) || target === `src/${part}.ts`),
        )
        .map((target) => `${file} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('keeps files small enough to hold one idea', () => {
    const long = files
      .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length }))
      .filter(({ lines }) => lines > 300);
    expect(long).toEqual([]);
  });
});
