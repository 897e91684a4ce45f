import { createRequire } from 'node:module';
import { XMLValidator } from 'fast-xml-parser';
import sharp from 'sharp';
import { beforeAll, expect, test, vi } from 'vitest';

// Before the canvas loads: a machine on which no font is installed.
vi.hoisted(() => {
  process.env.DISABLE_SYSTEM_FONTS_LOAD = '1';
});

import type { Chart } from '../../src/report/charts/chart.ts';
import { WIDTH } from '../../src/report/charts/chart.ts';
import { chartsOf } from '../../src/report/charts/index.ts';
import { toInlineSvg, toPng, toSvg } from '../../src/report/render/canvas.ts';
import { sampleInput } from './sample.ts';
import { HOSTILE } from './sample-suites.ts';

const { charts } = chartsOf(sampleInput());
const chart = charts.find(({ file }) => file === 'classification-classify-latency-by-backend')!;

interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}
/** Share of dark pixels. */
async function ink(png: Buffer, area: Area): Promise<number> {
  const grey = await sharp(png).extract(area).greyscale().raw().toBuffer();
  return grey.filter((value) => value < 140).length / grey.length;
}
const titled = (text: string): Chart => {
  const copy = structuredClone(chart) as Chart & {
    config: { options: { plugins: { title: { text: string } } } };
  };
  copy.config.options.plugins.title.text = text;
  return copy;
};
const TITLE: Area = { left: 32, top: 32, width: 600, height: 44 };

beforeAll(() => {
  const { GlobalFonts } = createRequire(import.meta.url)('canvas');
  expect(GlobalFonts.families).toEqual([]);
});

test('a PNG is two pixels per CSS pixel, opaque white paper', async () => {
  const png = toPng(chart);
  expect(await sharp(png).metadata()).toMatchObject({
    format: 'png',
    width: 2 * WIDTH,
    height: 2 * chart.height,
  });
  const [corner] = [await sharp(png).extract({ left: 0, top: 0, width: 1, height: 1 }).raw().toBuffer()];
  expect([...corner!.subarray(0, 3)]).toEqual([255, 255, 255]);
});

test('every chart is drawn: neither blank nor without its title', async () => {
  for (const each of charts.slice(0, 4)) {
    const png = toPng(each);
    const { channels } = await sharp(png).stats();
    expect(Math.max(...channels.slice(0, 3).map(({ stdev }) => stdev)), each.file).toBeGreaterThan(5);
    expect(await ink(png, TITLE), each.file).toBeGreaterThan(0.01);
  }
});

test('text renders without any font on the machine: the title and the arms’ names', async () => {
  const blank = toPng(titled(' '));
  expect(await ink(blank, TITLE)).toBe(0);
  expect(await ink(toPng(chart), TITLE)).toBeGreaterThan(0.02);
  const names: Area = { left: 20, top: 280, width: 150, height: 540 };
  expect(await ink(toPng(chart), names)).toBeGreaterThan(0.01);
});

test('arrows, signs and units are glyphs of their own, not boxes', () => {
  const pictures = ['→', '≤', '×', 'µ', '÷', '▲', '\u{10fffd}'].map((sign) =>
    toPng(titled(sign)).toString('base64'),
  );
  expect(new Set(pictures).size).toBe(pictures.length);
});

test('the same chart twice is the same picture', () => {
  expect(toPng(chart).equals(toPng(chart))).toBe(true);
});

test('a bar that is not ranked is hatched in PNG and SVG, and so is its entry in the legend', () => {
  const plain = structuredClone(chart) as typeof chart & {
    config: { data: { datasets: { hatchKey?: boolean; data: { hatched?: boolean }[] }[] } };
  };
  const { datasets } = plain.config.data;
  const key = datasets.find(({ hatchKey }) => hatchKey)!;
  Object.assign(key, { hatchKey: false });
  const [withKey, withoutKey] = [toSvg(chart), toSvg(plain)];
  // A clip path around the box in the legend, then one around each bar.
  const clips = (svg: string) => svg.match(/<clipPath/g)?.length ?? 0;
  expect(clips(withKey)).toBe(clips(withoutKey) + 1);
  expect(toPng(chart).equals(toPng(plain))).toBe(false);
  for (const { data } of datasets) for (const datum of data) datum.hatched = false;
  expect(clips(toSvg(plain))).toBe(clips(withoutKey) - 4);
});

test('an SVG is well formed, has its text as outlines, and loads nothing', () => {
  for (const each of charts.slice(0, 12)) {
    const svg = toSvg(each);
    expect(XMLValidator.validate(svg)).toBe(true);
    expect(svg).not.toMatch(/<text|<image|<script|<style/);
    expect(svg.match(/https?:[^"]+/g)?.filter((url) => !url.startsWith('http://www.w3.org/')) ?? []).toEqual(
      [],
    );
  }
});

test('an SVG for the page keeps every character, escaped', () => {
  const svg = toInlineSvg(chart);
  const { subtitle, config } = chart;
  expect(XMLValidator.validate(svg)).toBe(true);
  for (const label of ['resnet-50', 'correctness only (214 ms)', 'invalid (1,542 ms)', '23.9 ms'])
    expect(svg).toContain(`>${label}<`);
  expect(svg).not.toContain(subtitle[0]);
  expect(JSON.stringify(config)).toContain(subtitle[0]);

  const hostile = toInlineSvg(charts.find(({ suite }) => suite === HOSTILE[1])!);
  expect(XMLValidator.validate(hostile)).toBe(true);
  expect(hostile).toContain('&lt;img src=x');
  expect(hostile).not.toMatch(/<img|<script/);
});
