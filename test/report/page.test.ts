import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { chartsOf } from '../../src/report/charts/index.ts';
import { page } from '../../src/report/page/index.ts';
import { embeddedJson } from '../../src/report/page/text.ts';
import { sampleInput } from './sample.ts';
import { HOSTILE, sampleSuites } from './sample-suites.ts';

const render = async (input = sampleInput()): Promise<string> => String((await page.render(input))[0]!.body);
const input = sampleInput();
const text = await render(input);
/** The page without what is drawn or written by others: styles, scripts, drawings. */
const skeleton = (html: string): string =>
  html
    .replace(/<style>[\s\S]*?<\/style>/g, '<style>…</style>')
    .replace(/<(script[^>]*)>[\s\S]*?<\/script>/g, '<$1>…</script>')
    .replace(/<noscript>[\s\S]*?<\/noscript>/g, '<noscript>…</noscript>')
    .replace(/'sha256-[^']+'/g, "'sha256-…'");

test('it loads nothing: every address is in the page, beside it, or a namespace', () => {
  const markup = skeleton(text);
  for (const [, address] of markup.matchAll(/(?:src|href|action|data)="([^"]*)"/g)) {
    expect(address).toMatch(/^(#[a-z0-9-]*|[a-z0-9-]+\.(csv|png|svg|md))$/);
  }
  const style = /<style>([\s\S]*?)<\/style>/.exec(text)![1]!;
  for (const [, url] of style.matchAll(/url\(([^)]*)/g)) expect(url).toMatch(/^data:font\/woff2;base64,/);
  expect(style).not.toContain('@import');
  expect(text).not.toContain('sourceMappingURL');
});

test('only the page’s own scripts may run: each has its hash in the policy', () => {
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(text)![1]!;
  expect(policy).toContain("default-src 'none'");
  const scripts = [...text.matchAll(/<script(?: type="module")?>([\s\S]*?)<\/script>/g)];
  expect(scripts).toHaveLength(3);
  for (const [, body] of scripts) {
    expect(policy).toContain(createHash('sha256').update(body!).digest('base64'));
  }
  expect(/script-src[^;]*/.exec(policy)![0]).not.toContain('unsafe');
});

test('names from outside are text, wherever they stand', () => {
  for (const bad of ['<img src=x', '<script>alert', '<svg onload', '<b>libfoo'])
    expect(text).not.toContain(bad);
  expect(text).toContain('&lt;img src=x onerror=alert(1)&gt;');
  expect(text.match(/<\/script>/g)).toHaveLength(4);
  expect(embeddedJson(HOSTILE)).not.toMatch(/<|\u2028/);
  expect(JSON.parse(embeddedJson(HOSTILE))).toEqual(HOSTILE);
});

test('the page carries the very configurations that PNG and SVG are drawn from', () => {
  const { charts } = chartsOf(input);
  const data = /id="charts">([\s\S]*?)<\/script>/.exec(text)![1]!;
  expect(JSON.parse(data)).toEqual(charts.map(({ config }) => config));
  expect(text.match(/data-chart="\d+"/g)).toHaveLength(charts.length);
});

test('without scripts there is a drawing for every chart, with clip paths of its own', () => {
  const drawings = [...text.matchAll(/<noscript>(<svg[\s\S]*?<\/svg>)\s*<\/noscript>/g)].map(
    ([, svg]) => svg!,
  );
  expect(drawings).toHaveLength(chartsOf(input).charts.length);
  const ids = drawings.flatMap((svg) => [...svg.matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id!));
  expect(new Set(ids).size).toBe(ids.length);
  for (const svg of drawings) {
    for (const [, id] of svg.matchAll(/url\(#([^)]+)\)/g)) expect(svg).toContain(`id="${id}"`);
  }
});

test('ten seconds: each question with its answer, by how much, how sure, and what was not ranked', () => {
  const summary = /<section id="summary">[\s\S]*?<\/section>/.exec(text)![0];
  expect(summary.match(/<article/g)).toHaveLength(input.info.run.suites.length);
  expect(summary).toContain(
    'Is a convolutional network or a transformer the better image classifier on this machine?',
  );
  expect(summary).toMatch(
    /<b>resnet-50<\/b> beats <b>vit-b-16<\/b> on latency: 56\.0 ms against 172 ms, 3\.06×/,
  );
  expect(summary).toContain('<span class="pill sure"');
  expect(summary).toContain('9 cells correctness only');
  expect(summary).toContain('Only <b>clip-vit-b-32</b> was measured');
});

test('a run that was stopped says so first, and what never started is counted', async () => {
  const { info } = input;
  const cut = await render({
    ...input,
    info: {
      ...info,
      end: { ...info.end!, outcome: 'interrupted', reason: 'Ctrl-C' },
      run: { ...info.run, plan: [...info.run.plan, { ...info.run.plan[0]!, case_id: 'never' }] },
    },
  });
  expect(cut).toContain('The run did not end in good order (Ctrl-C)');
  expect(cut).toContain('1 planned cell never started');
});

test('nothing at all still makes a page', async () => {
  const empty = await render(sampleInput({ suites: [] }));
  expect(empty).toContain('Everything that was planned was measured');
});

test('golden skeleton', async () => {
  const small = sampleSuites().filter(({ info }) => info.name !== 'classification');
  await expect(skeleton(await render(sampleInput({ suites: small })))).toMatchFileSnapshot(
    '../goldens/report/report.html',
  );
});
