import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, matchesGlob, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ALONE, RUNTIMES } from '../vitest.config.ts';

const root = resolve(import.meta.dirname, '..');

/** Which part of the house may import which, as ARCHITECTURE.md tells it; the order of the rows is the order of the floors. */
const ALLOWED: Record<string, readonly string[]> = {
  core: [],
  code: [],
  loader: [],
  'loader-hooks': [],
  graph: ['core'],
  stats: ['core'],
  data: ['core'],
  transform: ['graph', 'core'],
  zoo: ['graph', 'core'],
  weights: ['transform', 'graph', 'core'],
  inspect: ['transform', 'graph', 'core'],
  backends: ['transform', 'graph', 'core'],
  workloads: ['training', 'estimate', 'weights', 'data', 'graph', 'core'],
  training: ['transform', 'weights', 'data', 'graph', 'core'],
  estimate: ['graph', 'core'],
  profile: ['graph', 'core'],
  report: ['stats', 'core'],
  gate: ['stats', 'core'],
  pretrained: ['zoo', 'weights', 'data', 'graph', 'core'],
  verify: ['training', 'zoo', 'weights', 'transform', 'workloads', 'data', 'graph', 'stats', 'core'],
  config: ['code', 'core'],
  run: ['code', 'config', 'weights', 'stats', 'core'],
  commands: ['*'],
  cli: ['commands', 'code', 'core'],
  index: ['core'],
  start: ['cli', 'code', 'loader'],
  versus: ['start'],
};

/** npm runtimes and heavy packages that only one folder may know. */
const ONLY_IN: Record<string, readonly string[]> = {
  'onnxruntime-node': ['backends'],
  'onnxruntime-common': ['backends'],
  '@tensorflow/tfjs': ['backends'],
  '@tensorflow/tfjs-core': ['backends'],
  '@tensorflow/tfjs-backend-cpu': ['backends'],
  '@tensorflow/tfjs-backend-wasm': ['backends'],
  '@tensorflow/tfjs-backend-webgpu': ['backends'],
  webgpu: ['backends'],
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
    .filter((file) => /\.(ts|mjs|mts)$/.test(file))
    .map((file) => join(folder, file));
}

function partOf(file: string): string {
  const [, part] = file.split(/[/\\]/);
  return part!.replace(/\.(ts|mjs)$/, '');
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s*'([^']+)'|\b(?:import|require|createRequire\(import\.meta\.url\))\(\s*'([^']+)'\s*\)|(?:^|\n)import '([^']+)'/g,
    ),
  ].map((match) => match[1] ?? match[2] ?? match[3]!);
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

describe('the tests', () => {
  const reads = (file: string): string[] =>
    importsOf(file)
      .filter((target) => target.startsWith('.'))
      .map((target) => relative(root, resolve(root, dirname(file), target)))
      .filter((target) => /^(test|scripts)\//.test(target) && existsSync(join(root, target)));
  const RUNTIME = /src\/backends\/(onnxruntime|tfjs)\/|child_process|^onnxruntime-node$|cli\/versus/;

  it('load runtimes and start processes only in processes that are meant for it', () => {
    const apart = [...ALONE, ...RUNTIMES];
    const shared = sources('test').filter(
      (file) => file.endsWith('.test.ts') && !apart.some((pattern) => matchesGlob(file, pattern)),
    );
    const wrong = shared.filter((file) => {
      const seen = new Set([file]);
      for (const one of seen) for (const next of reads(one)) seen.add(next);
      return [...seen].some((one) => importsOf(one).some((target) => RUNTIME.test(target)));
    });
    expect(wrong).toEqual([]);
  });

  it('change the environment only in a process of their own: the next file would skip what that hides', () => {
    const changes = /\bprocess\.env(\.\w+|\[[^\]]+\]) [?|]*= /;
    const wrong = sources('test').filter((file) => {
      const isAlone = ALONE.some((pattern) => matchesGlob(file, pattern));
      return file.endsWith('.test.ts') && !isAlone && changes.test(readFileSync(join(root, file), 'utf8'));
    });
    expect(wrong).toEqual([]);
  });
});

describe('ARCHITECTURE.md', () => {
  const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const tree = treeIn(page);

  it('names every file of src, suites, datasets, scripts and the example plugins', () => {
    const named = new Set(tree.map(({ path }) => path));
    const missing = ['src', 'suites', 'datasets', 'scripts', 'test/plugin']
      .flatMap((folder) => filesBelow(folder))
      .filter((file) => !named.has(file));
    expect(missing).toEqual([]);
  });

  it('names nothing that is not there, and nothing twice', () => {
    const paths = tree.map(({ path }) => path);
    expect(paths.length).toBeGreaterThan(300);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(paths.filter((path, i) => paths.indexOf(path) !== i)).toEqual([]);
  });

  it('says in one short line what each file is for', () => {
    const bad = tree.filter(({ path, about }) => about.length > 100 || (about === '' && !path.endsWith('/')));
    expect(bad).toEqual([]);
  });

  it('tells the same imports as the table above', () => {
    const section = page.split('## Who may import whom')[1]!.split('\n## ')[0]!;
    const rows = section.split('\n').filter((line) => line.startsWith('| `'));
    const told = rows.flatMap((line) => {
      const [, parts, targets] = line.split('|');
      const allowed = targets!.trim() === 'everything' ? ['*'] : namesIn(targets!);
      return namesIn(parts!).map((part) => [part, [...allowed].sort()] as const);
    });
    const held = Object.entries(ALLOWED).map(([part, allowed]) => [part, [...allowed].sort()] as const);
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(held));
  });
});

const namesIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);

/** Files as the tree writes them, with `/`; what a dataset generated is not of the house. */
function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((file) => !/^datasets\/[^/]+\/generated\//.test(file));
}

/**
 * The tree in the page's first code block: a name per line, two spaces or more and what it is for; `name/` holds the lines
 * that are indented deeper.
 */
function treeIn(markdown: string): { path: string; about: string }[] {
  const block = /^```[^\n]*\n([\s\S]*?)^```/m.exec(markdown)?.[1] ?? '';
  const open: { indent: number; path: string }[] = [];
  return block.split('\n').flatMap((line) => {
    const match = /^(\s*)(\S+)(?:\s{2,}(\S.*))?$/.exec(line);
    if (!match) return line.trim() === '' ? [] : [{ path: `unreadable: ${line}`, about: '' }];
    const indent = match[1]!.length;
    while (open.length > 0 && open.at(-1)!.indent >= indent) open.pop();
    const path = (open.at(-1)?.path ?? '') + match[2]!;
    if (path.endsWith('/')) open.push({ indent, path });
    return [{ path, about: match[3] ?? '' }];
  });
}
