import { markdownTable } from 'markdown-table';
import { percent } from '../inspect/text.ts';
import type { Row } from '../profile/rows.ts';
import { number, quantity } from '../report/format.ts';
import type { ProfileResult } from './profile.ts';

/** A profile as a person reads it. `by`: `op` or `node`. */
export function profileLines(result: ProfileResult, by: string): string[] {
  const { model, graph, backend, version, device, precision, dims, rounds, options, peak } = result;
  const sizes = Object.entries(dims).map(([name, size]) => `${name}=${size}`);
  const threads = options.threads ?? null;
  return [
    `${model}, graph ${graph}, on ${backend} ${version} (${device.name}), ${[precision, ...sizes].join(', ')}`,
    `  median of ${rounds} runs${threads === null ? '' : `, ${threads} threads`}: ${quantity(result.run_ms, 'ms')} a run, ` +
      `of which nodes ${quantity(result.nodes_ms, 'ms')}${result.macs === null ? '' : `; ${quantity(result.macs, 'MACs')} MACs`}`,
    `  ${result.devices.map(({ name, nodes, share }) => `${name}: ${nodes} nodes, ${percent(share)} of the time`).join(' · ')}`,
    peak.reason === null
      ? `  peak measured here in float32: ${number(peak.gflops ?? 0)} GFLOP/s, ${number(peak.gbytes ?? 0)} GB/s`
      : `  no shares of a peak: ${peak.reason}`,
    ...(device.software ? ['  The times say what the emulation costs, not what a GPU would.'] : []),
    '',
    by === 'node' ? nodeTable(result) : operatorTable(result),
    ...(by === 'node' && result.nodes.length < result.node_count
      ? ['', `${result.node_count - result.nodes.length} more nodes: --top 0 shows all of them.`]
      : []),
  ];
}

const FIGURES = ['ms', 'share', 'GFLOP/s', 'of peak', 'GB/s', 'of peak'];

function operatorTable({ operators }: ProfileResult): string {
  return markdownTable(
    [
      ['operator', 'count', ...FIGURES],
      ...operators.map((row) => [row.operator, String(row.count), ...figures(row)]),
    ],
    { align: ['l', ...new Array<string>(7).fill('r')] },
  );
}

function nodeTable({ nodes }: ProfileResult): string {
  const shapes = (list: readonly (readonly number[])[]) =>
    list.map((shape) => `[${shape.join(',')}]`).join(' ');
  return markdownTable(
    [
      ['node', 'operator', ...FIGURES, 'shapes'],
      ...nodes.map((row) => [
        row.name,
        row.operator,
        ...figures(row),
        `${shapes(row.inputs)} → ${shapes(row.outputs)}`,
      ]),
    ],
    { align: ['l', 'l', ...new Array<string>(6).fill('r'), 'l'] },
  );
}

function figures({
  ms,
  share,
  macs,
  bytes,
  gflops,
  gbytes,
  share_of_flops,
  share_of_bandwidth,
}: Row): string[] {
  const of = (value: number | null) => (value === null ? '' : ofPeak(value));
  return [
    ms.toFixed(3),
    percent(share),
    // Nothing to compute is no lack of knowledge.
    gflops === null ? (macs === 0 ? '–' : 'n/a') : number(gflops),
    of(share_of_flops),
    gbytes === null ? (bytes === 0 ? '–' : 'n/a') : number(gbytes),
    of(share_of_bandwidth),
  ];
}

/** More than all of it is possible: caches outrun the memory, and other processes may have slowed the measuring of the peak. */
const ofPeak = (share: number): string => (share > 1 ? `${Math.round(100 * share)}%` : percent(share));
