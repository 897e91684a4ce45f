import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import type { Chart, Series } from '../../src/report/charts/chart.ts';
import { prepare } from '../../src/report/charts/draw.mjs';
import { chartsOf } from '../../src/report/charts/index.ts';
import { sampleInput } from './sample.ts';
import { largeSuites, sampleSuites } from './sample-suites.ts';

const require = createRequire(import.meta.url);
const input = sampleInput();
const { charts } = chartsOf(input);
const named = (file: string): Chart => charts.find((chart) => chart.file === file)!;
const series = (file: string): readonly Series[] => named(file).config.data.datasets;
const at = (file: string, label: string) => {
  const { labels = [], datasets } = named(file).config.data;
  return datasets.map(({ data }) => data[labels.indexOf(label)]);
};

test('a configuration is plain data: it survives JSON unchanged', () => {
  for (const { config } of charts) expect(JSON.parse(JSON.stringify(config))).toEqual(config);
});

test('every kind of chart is there, under a file name of its own', () => {
  const files = charts.map(({ file }) => file);
  expect(new Set(files).size).toBe(files.length);
  for (const kind of ['classify-latency', 'pareto', 'memory', 'scaling', 'repetitions', 'phases']) {
    expect(
      files.some((file) => file.endsWith(kind)),
      kind,
    ).toBe(true);
  }
  for (const file of files) expect(file).toMatch(/^[a-z0-9-]+$/);
});

test('every number axis names its unit', () => {
  for (const chart of charts) {
    const scales = chart.config.options.scales as Record<string, { title?: { text: string }; type?: string }>;
    for (const [name, scale] of Object.entries(scales)) {
      if (scale.type === 'category') continue;
      const text = scale.title?.text ?? '';
      expect(/\[.+\]|^ms$|repetition|batch size/.test(text), `${chart.file} ${name}: ${text}`).toBe(true);
    }
  }
});

test('bars stand beside their own names, best first, with intervals', () => {
  const labels = named('classification-classify-latency').config.data.labels;
  expect(labels).toEqual(['resnet-18', 'deit-s-16', 'resnet-50', 'vit-b-16']);
  const [cpu] = at('classification-classify-latency', 'resnet-50');
  const row = input.rows.find(
    ({ metric, arm, batch }) => metric === 'latency' && arm === 'resnet-50' && batch === 1,
  )!;
  expect(cpu).toMatchObject({ x: row.value, xMin: row.ci_lo, xMax: row.ci_hi, hatched: false });
  expect(cpu!.tip).toContain('280 samples in 7 rounds');
});

test('what is not valid is hatched, has no interval, and says why', () => {
  const [, webgpu] = at('classification-classify-latency-by-backend', 'vit-b-16');
  expect(webgpu).toMatchObject({ hatched: true });
  expect(webgpu).not.toHaveProperty('xMin');
  expect(webgpu!.label).toMatch(/^invalid/);
  expect(webgpu!.tip!.join()).toContain('logits differ');
  expect(named('classification-classify-latency-by-backend').subtitle.join()).toContain('software adapter');
  expect(at('text-tasks-generate-ttft', 'phi-3-vision').find((datum) => datum?.label)?.label).toBe(
    'out of memory',
  );
});

test('backends stand side by side: a series each, logarithmic where values span more than ten times', () => {
  const file = 'backends-classify-latency-by-backend';
  const { datasets, labels } = named(file).config.data;
  expect(labels).toEqual(['resnet-18', 'deit-s-16', 'swin-t']);
  expect(datasets.map(({ label }) => label)).toEqual([
    'onnxruntime-cpu',
    'tfjs-wasm',
    'onnxruntime-webgpu',
    expect.stringMatching(/^hatched: not ranked/),
  ]);
  const valid = at(file, 'resnet-18').slice(0, 2);
  for (const datum of valid) expect(datum!.xMin!).toBeLessThan(datum!.xMax!);
  expect(at(file, 'swin-t').map((datum) => datum?.hatched)).toEqual([false, true, true, undefined]);
  expect(at(file, 'swin-t')[2]).toMatchObject({ x: 0, label: 'unsupported' });
  const { x } = named(file).config.options.scales as { x: { type?: string; min: number; max: number } };
  expect(x.type).toBe('logarithmic');
  expect(x.min).toBeLessThan(valid[0]!.x!);
  expect(x.max).toBeGreaterThan(valid[1]!.xMax!);
  const narrow = named('classification-classify-latency-by-backend').config.options.scales as typeof x & {
    x: { type?: string };
  };
  expect(narrow.x.type).toBeUndefined();
});

test('a chart of arms shows one backend where the backends have a chart of their own', () => {
  expect(series('backends-classify-latency').map(({ label }) => label)).toEqual(['CNN', 'transformer']);
  expect(named('backends-classify-latency').subtitle[0]).toContain('onnxruntime-cpu');
});

test('rates are shown at the largest batch, latencies at the smallest', () => {
  expect(named('classification-classify-throughput').subtitle[0]).toContain('batch 8');
  expect(named('classification-classify-latency').subtitle[0]).toContain('batch 1');
});

test('no arm on the Pareto front is beaten on both axes', () => {
  const all = series('classification-classify-pareto');
  const front = all.find(({ label }) => label === 'Pareto front')!.data;
  const points = all.filter(({ label }) => label !== 'Pareto front').flatMap(({ data }) => data);
  expect(front.length).toBeGreaterThan(1);
  for (const on of front) {
    expect(points.some((p) => p.x! < on.x! && Number(p.y) > Number(on.y))).toBe(false);
  }
});

test('stacks add up to what is written behind them', () => {
  const parts = at('classification-classify-memory', 'vit-b-16');
  const sum = parts.reduce((total, part) => total + (part?.x ?? 0), 0);
  expect(parts.at(-1)!.label).toBe(`${Math.round(sum)} MiB`);
  expect(at('text-tasks-generate-phases', 'llava-qwen2-0.5b + image').map((part) => part?.inside)).toEqual(
    ['4.00 ms', '601 ms', '960 ms'].map(() => expect.stringMatching(/ ms$/)),
  );
  expect(at('text-tasks-generate-phases', 'qwen2-0.5b').at(-1)!.label).toMatch(/per token$/);
});

test('with two rounds nothing has an interval, and the chart says so', () => {
  const few = chartsOf(sampleInput({ rounds: 2 })).charts.find(
    ({ file }) => file === 'classification-classify-latency',
  )!;
  expect(few.subtitle[0]).toContain('2 rounds · no interval');
  for (const { data } of few.config.data.datasets)
    for (const datum of data) expect(datum).not.toHaveProperty('xMin');
});

test('strips keep rounds apart and mark what is slower than they are high', () => {
  const strips = series('classification-classify-repetitions').filter(({ yAxisID }) => yAxisID === 'y3');
  const [odd, even, spikes, medians] = strips.map(({ data }) => data);
  expect(odd!.length + even!.length + spikes!.length).toBe(7 * 40);
  expect(medians!.filter(({ x }) => x !== null)).toHaveLength(14);
});

test('one arm alone shows its metrics of equal unit side by side', () => {
  expect(named('caching-zero-shot-cached-uncached').config.data.labels).toEqual(['Cached', 'Uncached']);
});

test('a large run has few charts with few arms, and says what is left out', () => {
  const { charts: few, leftOut } = chartsOf(sampleInput({ suites: largeSuites(120) }));
  expect(few.length).toBeLessThanOrEqual(10);
  expect(leftOut).toBeGreaterThan(0);
  for (const { config, subtitle } of few) {
    const shown = config.data.labels?.length ?? config.data.datasets.length;
    expect(shown).toBeLessThan(30);
    expect(subtitle.join()).toMatch(/of 120 arms|smallest 14 of 120 arms|\d+ slower models/);
  }
});

test('an arm’s colour follows its group through all charts of a suite', () => {
  const fills = ['text-tasks-generate-ttft', 'text-tasks-generate-decode-throughput'].map((file) =>
    Object.fromEntries(
      series(file).map(({ label, backgroundColor }) => [label, [backgroundColor].flat()[0]]),
    ),
  );
  expect(fills[0]).toEqual(fills[1]);
});

test('the pointer shows the cell, its interval, rounds and reason, not Chart.js’s own text', () => {
  const Library = require('chart.js/auto');
  Library.register(
    ...Object.values(require('chartjs-chart-error-bars')).filter(
      (item) => !Object.hasOwn(item as object, 'instances'),
    ),
  );
  prepare(Library, {
    text: '#000000',
    muted: '#555555',
    grid: '#dddddd',
    hatch: '#bbbbbb',
    halo: '#ffffff',
    surface: null,
  });
  const { createCanvas } = require('canvas');
  for (const file of ['classification-classify-latency', 'classification-classify-pareto']) {
    const { config } = named(file);
    const chart = new Library(createCanvas(960, 480), structuredClone(config));
    chart.tooltip.setActiveElements([{ datasetIndex: 0, index: 0 }], { x: 1, y: 1 });
    const { tip } = config.data.datasets[0]!.data[0]!;
    expect(chart.tooltip.title).toEqual([tip![0]]);
    expect(chart.tooltip.body[0].lines).toEqual(tip!.slice(1));
    chart.destroy();
  }
});

test('a run without a single valid value has no charts and no errors', () => {
  const suites = sampleSuites()
    .slice(2, 3)
    .map((suite) => ({ ...suite, arms: suite.arms.slice(3) }));
  expect(chartsOf(sampleInput({ suites })).charts).toEqual([]);
});
