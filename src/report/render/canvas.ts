import { createRequire } from 'node:module';
import type { ChartConfiguration } from 'chart.js/auto';
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

const drawn = new WeakMap<Chart, string>();

/**
 * A chart as SVG: with its text as `outlines`, so that a file looks the same where our fonts are missing, or as `text`, a
 * tenth of the size, for a page that brings the fonts.
 */
export function toSvg(chart: Chart, letters: 'outlines' | 'text' = 'outlines'): string {
  const known = letters === 'outlines' ? drawn.get(chart) : undefined;
  if (known !== undefined) return known;
  const { createCanvas, SvgExportFlag } = require('canvas') as CanvasModule;
  const { Chart } = renderer(chart.height);
  const flag = letters === 'outlines' ? SvgExportFlag.ConvertTextToPaths : SvgExportFlag.NoPrettyXML;
  const canvas = createCanvas(WIDTH, chart.height, flag);
  canvas.style = {}; // Chart.js writes the size there
  const instance = new Chart(canvas, configuration(chart, 1));
  const svg = shortNumbers(canvas.getContent().toString('utf8'));
  instance.destroy();
  if (letters === 'outlines') drawn.set(chart, svg);
  return svg;
}

/** Two decimals are a fiftieth of a pixel; with nine, outlines of text make files of megabytes. */
const shortNumbers = (svg: string): string =>
  svg.replace(/-?\d+\.\d{3,}/g, (digits) => String(Number(Number(digits).toFixed(2))));

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
