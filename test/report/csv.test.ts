import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { COLUMNS } from '../../src/core/report.ts';
import { csv } from '../../src/report/csv/index.ts';
import { sheet } from '../../src/report/csv/sheet.ts';
import { sampleInput } from './sample.ts';
import { HOSTILE, sampleSuites } from './sample-suites.ts';

const input = sampleInput();
const files = new Map((await csv.render(input)).map(({ file, body }) => [file, String(body)]));
const table = (file: string): Record<string, string>[] => parse(files.get(file)!, { columns: true });

test('the long CSV has the contract’s columns in order and a line per row', () => {
  const [header, ...lines] = parse(files.get('results.csv')!) as string[][];
  expect(header).toEqual([...COLUMNS]);
  expect(lines).toHaveLength(input.rows.length);
  const row = input.rows[0]!;
  expect(Number(table('results.csv')[0]!.value)).toBe(row.value);
});

test('a value that is not known is an empty cell, never 0', () => {
  const oom = table('results.csv').find(({ status }) => status === 'oom')!;
  expect([oom.value, oom.ci_lo]).toEqual(['', '']);
  expect(oom.reason).toContain('resident memory passed');
});

test('no cell of any sheet begins like a formula, and numbers stay numbers', () => {
  for (const [file, text] of files) {
    for (const line of parse(text) as string[][]) {
      for (const cell of line)
        expect(/^[=+\-@\t\r]/.test(cell) && Number.isNaN(Number(cell)), `${file}: ${cell}`).toBe(false);
    }
  }
  expect(table('results.csv').map(({ arm }) => arm)).toContain(`'${HOSTILE[0]}`);
  expect(sheet(['n'], [[-1.5]])).toBe('n\n-1.5\n');
});

test('any text survives the round trip, apart from the apostrophe that disarms it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      const [, [cell]] = parse(sheet(['a', 'b'], [[text, 1]])) as [string[], string[]];
      expect(cell === text || cell!.startsWith("'")).toBe(true);
      expect(cell).not.toMatch(/^[ \u00a0]*[=+\-@]/);
    }),
    { numRuns: 60 },
  );
});

test('the wide table of a suite has a line per cell and three columns per metric', () => {
  const lines = table('classification.csv');
  expect(lines).toHaveLength(24);
  const first = lines[0]!;
  expect(first).toMatchObject({ arm: 'resnet-50', backend: 'onnxruntime-cpu', batch: '1', status: 'ok' });
  const row = input.rows.find((candidate) => candidate.metric === 'latency')!;
  expect([first['latency [ms]'], first['latency lo [ms]'], first['latency hi [ms]']].map(Number)).toEqual([
    row.value,
    row.ci_lo,
    row.ci_hi,
  ]);
  expect(
    lines.find(({ arm, backend }) => arm === 'vit-b-16' && backend === 'onnxruntime-webgpu'),
  ).toMatchObject({ status: 'invalid' });
});

test('timm’s table has timm’s columns, units and rounding, and holds valid cells only', () => {
  const text = files.get('benchmark-infer-fp32-onnxruntime-cpu.csv')!;
  expect(text.split('\n')[0]).toBe(
    'model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size,param_count,infer_gmacs,infer_macts',
  );
  const lines = table('benchmark-infer-fp32-onnxruntime-cpu.csv');
  const speeds = lines.map((line) => Number(line.infer_samples_per_sec));
  expect(speeds).toEqual([...speeds].sort((a, b) => b - a));
  expect(lines.find((line) => line.model === 'resnet-50' && line.infer_batch_size === '4')).toMatchObject({
    infer_img_size: '224',
    param_count: '25.56',
    infer_gmacs: '4.09',
    infer_macts: '',
  });
  expect(files.has('benchmark-infer-fp32-onnxruntime-webgpu.csv')).toBe(false);
});

test('two suites whose names make the same file name get two files', async () => {
  const twins = sampleSuites()
    .slice(1, 2)
    .flatMap((suite) => ['a/b', 'a b'].map((name) => ({ ...suite, info: { ...suite.info, name } })));
  const names = (await csv.render(sampleInput({ suites: twins }))).map(({ file }) => file);
  expect(names).toEqual(['results.csv', 'comparisons.csv', 'a-b.csv', 'a-b-2.csv']);
});

test.each(['results.csv', 'comparisons.csv', 'caching.csv'])('golden %s', async (file) => {
  const suites = sampleSuites().filter(({ info }) => info.name === 'caching' || info.name === HOSTILE[1]);
  const small = await csv.render(sampleInput({ suites, rounds: 6 }));
  const text = small.find((written) => written.file === file)!.body;
  await expect(text).toMatchFileSnapshot(`../goldens/report/${file}`);
});
