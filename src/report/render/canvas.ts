import { createRequire } from 'node:module';
import type { ChartConfiguration, Plugin } from 'chart.js/auto';
import { ChartJSNodeCanvas } from 'chartjs-node-canvas';
import { type Chart, type Height, WIDTH } from '../charts/chart.ts';
import { prepare, type Theme } from '../charts/draw.mjs';
import { registerFonts } from './fonts.ts';

const require = createRequire(import.meta.url);

/** Paper: what PNG and SVG are drawn on. */
const PAPER: Theme = {
  text: '#1b1f24',
  muted: '#57606a',
  grid: '#e6e9ed',
  hatch: '#c4cbd3',
  surface: '#ffffff',
  halo: '#ffffff',
};

type ChartClass = new (canvas: unknown, config: ChartConfiguration) => { destroy(): void };
interface SvgCanvas {
  style: Record<string, string>;
  getContent(): Buffer;
}
interface CanvasModule {
  createCanvas(width: number, height: number, flag: number): SvgCanvas;
  readonly SvgExportFlag: Readonly<
    Record<'ConvertTextToPaths' | 'NoPrettyXML' | 'RelativePathEncoding', number>
  >;
}

interface Renderer {
  readonly png: ChartJSNodeCanvas;
  readonly Chart: ChartClass;
}
const renderers = new Map<Height, Renderer>();

/** A chart as PNG, 1920 pixels wide (two per CSS pixel). */
export function toPng(chart: Chart): Buffer {
  return renderer(chart.height).png.renderToBufferSync(configuration(chart, 2));
}

/** A chart as an SVG file: its text as outlines, so that it looks the same where our fonts are missing. */
export function toSvg(chart: Chart): string {
  const { ConvertTextToPaths } = (require('canvas') as CanvasModule).SvgExportFlag;
  return draw(chart, configuration(chart, 1), ConvertTextToPaths);
}

/**
 * A chart as SVG for a page that brings the fonts and writes title and conditions itself: its text stays text, which is
 * a tenth of the size.
 */
export function toInlineSvg(chart: Chart): string {
  const { NoPrettyXML } = (require('canvas') as CanvasModule).SvgExportFlag;
  const config = configuration(chart, 1);
  config.options!.plugins = {
    ...config.options!.plugins,
    title: { display: false },
    subtitle: { display: false },
  };
  config.plugins = [PLAIN_LETTERS];
  return draw(chart, config, NoPrettyXML)
    .replace(/^<\?xml[^>]*\?>\s*/, '')
    .replaceAll(
      'font-weight="500" font-family="Inter SemiBold, Inter"',
      'font-weight="600" font-family="Inter"',
    )
    .replaceAll('font-family="Inter Medium, Inter"', 'font-family="Inter"');
}

/** Skia drops characters that the font draws with alternative glyphs (brackets beside capitals); this turns them off. */
const PLAIN_LETTERS: Plugin = {
  id: 'plain-letters',
  beforeDraw: ({ ctx }) => {
    ctx.textRendering = 'optimizeSpeed';
  },
};

function draw(chart: Chart, config: ChartConfiguration, flag: number): string {
  const { createCanvas } = require('canvas') as CanvasModule;
  const { Chart } = renderer(chart.height);
  const canvas = createCanvas(WIDTH, chart.height, flag);
  canvas.style = {}; // Chart.js writes the size there
  const instance = new Chart(canvas, config);
  const svg = canvas.getContent().toString('utf8');
  instance.destroy();
  return shortNumbers(svg);
}

/** Two decimals are a fiftieth of a pixel; with nine, outlines of text make files of megabytes. Text is left alone. */
const shortNumbers = (svg: string): string =>
  svg.replace(/<[^>]*>/g, (tag) =>
    tag.replace(/-?\d+\.\d{3,}/g, (digits) => String(Number(Number(digits).toFixed(2)))),
  );

/** A copy, because Chart.js keeps its own notes in the configuration that it is given. */
function configuration(chart: Chart, pixelRatio: number): ChartConfiguration {
  const config = structuredClone(chart.config) as unknown as ChartConfiguration;
  config.options = { ...config.options, devicePixelRatio: pixelRatio };
  return config;
}

/** chartjs-node-canvas fixes the size at construction and then has a Chart class of its own, so there is one per height. */
function renderer(height: Height): Renderer {
  const known = renderers.get(height);
  if (known) return known;
  registerFonts();
  let Chart: unknown;
  const png = new ChartJSNodeCanvas({
    width: WIDTH,
    height,
    plugins: { modern: ['chartjs-chart-error-bars'] },
    chartCallback: (own) => {
      Chart = own;
      prepare(own, PAPER);
    },
  });
  const made = { png, Chart: Chart as ChartClass };
  renderers.set(height, made);
  return made;
}
