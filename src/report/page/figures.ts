import type { Chart } from '../charts/chart.ts';
import { toInlineSvg } from '../render/canvas.ts';
import { html } from './text.ts';

/** A chart on the page: a live canvas, or its drawing where scripts are off. `index` finds its configuration. */
export function figure(chart: Chart, index: number): string {
  const [conditions = '', ...notes] = chart.subtitle;
  const text = [chart.title, ...chart.subtitle].join('. ');
  return `<figure>
<figcaption><h4>${html(chart.title)}</h4><p class="condition">${html(conditions)}</p>${notes.map((note) => `<p class="condition note">${html(note)}</p>`).join('')}</figcaption>
<div class="chart" data-chart="${index}" data-height="${chart.height}"><canvas role="img" aria-label="${html(text)}"></canvas></div>
<noscript>${drawing(chart, index)}</noscript>
<p class="files"><a href="${chart.file}.png" download>PNG</a> <a href="${chart.file}.svg" download>SVG</a></p>
</figure>`;
}

/** The drawing inside the page. Its clip paths get names of their own, because all drawings share one document. */
function drawing(chart: Chart, index: number): string {
  return toInlineSvg(chart)
    .replace(/\bid="([^"]+)"/g, `id="d${index}-$1"`)
    .replace(/url\(#([^)]+)\)/g, `url(#d${index}-$1)`)
    .replace(/<svg ([^>]*?)width="(\d+)" height="(\d+)"/, '<svg $1viewBox="0 0 $2 $3"');
}
