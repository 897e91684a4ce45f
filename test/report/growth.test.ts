import { parse } from 'csv-parse/sync';
import { describe, expect, it, test } from 'vitest';
import { answerOf } from '../../src/report/answer.ts';
import { chartsOf } from '../../src/report/charts/index.ts';
import { csv } from '../../src/report/csv/index.ts';
import { growthOf } from '../../src/report/growth.ts';
import { growthStatements } from '../../src/report/growth-text.ts';
import { markdown } from '../../src/report/markdown/index.ts';
import { page } from '../../src/report/page/index.ts';
import type { Phrase } from '../../src/report/statement.ts';
import { suiteViews } from '../../src/report/view.ts';
import { sampleInput } from './sample.ts';
import { growing } from './sample-suites.ts';

const input = sampleInput({ suites: [growing()] });
const [view] = suiteViews(input);
const plain = (text: Phrase) => text.map((part) => (typeof part === 'string' ? part : part.name)).join('');
const file = async (reporter: typeof csv, name: string, of = input) =>
  String((await reporter.render(of)).find((one) => one.file === name)?.body);

describe('how costs grow', () => {
  const findings = growthOf(view!);
  const on = (metric: string, place: string) =>
    findings.find((found) => found.metric === metric && found.place === place)!;

  it('is told per metric and backend, main backend first, and once for what is counted', () => {
    expect(findings.map(({ metric, place }) => `${metric} ${place}`)).toEqual([
      'latency onnxruntime-cpu',
      'latency tfjs-wasm',
      'difference_rss onnxruntime-cpu',
      'difference_rss tfjs-wasm',
      'macs onnxruntime-cpu',
    ]);
  });

  it('ranks the steepest first, and is sure where the rounds say so', () => {
    const { curves, certainty, because } = on('latency', 'onnxruntime-cpu');
    expect(curves.map(({ line, fit }) => [line, fit !== null])).toEqual([
      ['vit', true],
      ['swin', true],
      ['mlp | mixer', false],
    ]);
    expect(curves[1]!.fit!.exponent).toBeCloseTo(1, 1);
    // By least squares on p/8000 · (1 + p/200000) at 128², 256², 512².
    expect(curves[0]!.fit!.exponent).toBeCloseTo(
      Math.log((1024 * (1 + 262144 / 2e5)) / (1 + 16384 / 2e5) / 64) / Math.log(16),
      1,
    );
    expect(certainty).toBe('sure');
    expect(because).toMatch(/^7 rounds; the exponents of vit and swin differ by 0\.2\d to 0\.\d\d$/);
    expect(on('macs', 'onnxruntime-cpu').certainty).toBe('exact');
    // Memory has three processes, of which nothing is decided.
    expect(on('difference_rss', 'onnxruntime-cpu')).toMatchObject({
      certainty: 'unsure',
      because: '3 rounds: no interval',
    });
  });

  it('says what has no valid value, and has no exponent of two sizes', () => {
    const swin = on('latency', 'tfjs-wasm').curves.find(({ line }) => line === 'swin')!;
    expect(swin).toMatchObject({ fit: null, missing: [512] });
    const texts = growthStatements(view!).map(({ text }) => plain(text));
    expect(texts[0]).toMatch(
      /^On latency vit grows most steeply, like pixels\^1\.\d\d \(95% interval 1\.\d\d to 1\.\d\d; no single power: 1\.1\d at the small end, 1\.[34]\d at the large\), swin like pixels\^[01]\.\d\d \([01]\.\d\d to [01]\.\d\d\); fitted over 128 to 512 px image edge$/,
    );
    expect(texts[1]).toMatch(/^On latency vit grows like pixels/);
    expect(texts[2]).toMatch(/^On added memory there is no sure order of growth: .*3 rounds: no interval/);
    const few = growing();
    const lines = few.info.growth!.lines.map((line) => ({ ...line, points: line.points.slice(0, 2) }));
    const short = { ...few, info: { ...few.info, growth: { ...few.info.growth!, lines } } };
    const [two] = growthStatements(suiteViews(sampleInput({ suites: [short] }))[0]!);
    expect(plain(two!.text)).toBe(
      'How latency grows was not fitted: an exponent needs 3 sizes, of one contender at most 2 are valid',
    );
    expect(two!.certainty).toBe('none');
  });

  it('leads the answer; arms are ranked at one size alone', () => {
    const answer = answerOf(view!);
    // All three have 256 px, two have 512.
    expect(answer.leads[0]!.where).toBe('256 px, batch 1, onnxruntime-cpu');
    const ranked = answer.leads[0]!.ranking.map(({ arm }) => arm);
    expect(ranked).toEqual(['mlp | mixer@256', 'swin@256', 'vit@256']);
    expect(answer.statements.length).toBeGreaterThan(0);
    expect(answer.statements.every(({ comparison }) => comparison.a.arm === 'vit@256')).toBe(true);
  });
});

test('a chart per finding on logarithmic axes: points, the fitted law through their middle, the exponent in the legend', () => {
  const { charts } = chartsOf(input);
  const chart = charts[0]!;
  expect(chart.file).toBe('resolution-classify-latency-growth');
  expect(charts.map(({ file }) => file)).toContain('resolution-classify-latency-growth-tfjs-wasm');
  const { datasets } = chart.config.data;
  expect(datasets.map(({ label }) => label)).toEqual([
    expect.stringMatching(/^vit: pixels\^1\.\d\d \(1\.\d\d to 1\.\d\d\), rising from 1\.1\d to 1\.[34]\d$/),
    'vit',
    expect.stringMatching(/^swin: pixels\^[01]\.\d\d \([01]\.\d\d to [01]\.\d\d\)$/),
    'swin',
    'mlp | mixer: too few sizes for an exponent',
  ]);
  const [points, law] = datasets.map(({ data }) => data);
  const logs = (list: typeof points) => list!.map(({ y }) => Math.log(y as number));
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  // Sizes are equally far apart on the axis, so the law's middle is the middle of its ends.
  expect(mean(logs(law))).toBeCloseTo(mean(logs(points)), 10);
  expect(points![1]).toMatchObject({ x: 256, yMin: expect.any(Number), yMax: expect.any(Number) });
  expect(law!.map(({ x }) => x)).toEqual([128, 512]);
});

test('growth.csv has the fits, and no file where nothing is fitted', async () => {
  const text = await file(csv, 'growth.csv');
  const rows: Record<string, string>[] = parse(text, { columns: true });
  expect(rows).toHaveLength(5 * 3);
  const [vit, swin, mixer] = rows;
  expect(vit).toMatchObject({ contender: 'vit', metric: 'latency', of: 'pixels', sizes: '128 256 512' });
  expect(Number(vit!.ci_lo)).toBeLessThanOrEqual(Number(vit!.exponent));
  expect(Number(vit!.ci_hi)).toBeGreaterThanOrEqual(Number(vit!.exponent));
  expect(swin!.note).toBe('windows fill its grids');
  expect(mixer).toMatchObject({
    exponent: '',
    ci_method: 'none: an exponent needs 3 sizes',
    sizes: '128 256',
  });
  await expect(text).toMatchFileSnapshot('../goldens/report/growth.csv');
  expect(await file(csv, 'growth.csv', sampleInput())).toBe('undefined');
});

test('golden growth.md; the page has the same exponents in its card', async () => {
  const text = await file(markdown, 'report.md');
  await expect(text).toMatchFileSnapshot('../goldens/report/growth.md');
  const html = await file(page, 'report.html');
  const { fit } = growthOf(view!)[0]!.curves[0]!;
  expect(html).toContain(`<td class="num">${fit!.exponent.toFixed(2)}<small>`);
  expect(html).toContain('grows like pixels^');
});
