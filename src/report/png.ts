import type { Reporter } from '../core/report.ts';
import { chartsOf } from './charts/index.ts';
import { toPng } from './render/canvas.ts';

/** Every chart as `<chart>.png`, 1920 pixels wide. */
export const png: Reporter = {
  name: 'png',
  render: (input) =>
    chartsOf(input).charts.map((chart) => ({ file: `${chart.file}.png`, body: toPng(chart) })),
};
