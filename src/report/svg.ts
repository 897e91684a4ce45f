import type { Reporter } from '../core/report.ts';
import { chartsOf } from './charts/index.ts';
import { toSvg } from './render/canvas.ts';

/** Every chart as `<chart>.svg`, its text as outlines. */
export const svg: Reporter = {
  name: 'svg',
  render: (input) =>
    chartsOf(input).charts.map((chart) => ({ file: `${chart.file}.svg`, body: toSvg(chart) })),
};
