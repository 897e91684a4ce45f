import type { ReportInput } from '../core/report.ts';
import { number, plural, printable, quantity } from './format.ts';

/** A line of a list of facts. */
export interface Fact {
  readonly name: string;
  readonly text: string;
}

/** Run and machine, as a reader needs them to judge the numbers. */
export function runFacts({ info }: ReportInput): Fact[] {
  const { run, end } = info;
  const { environment } = run;
  const devices = new Set(
    info.cells.flatMap(({ device }) => (device?.kind === 'gpu' ? [deviceText(device)] : [])),
  );
  const facts: [string, string | null][] = [
    ['run', run.run_id],
    ['started', run.started],
    [
      'ended',
      end
        ? `${end.finished}, ${end.outcome}${end.reason ? `: ${end.reason}` : ''}`
        : 'no: the run did not end in good order',
    ],
    ['profile', `${run.profile}, ${plural(run.rounds, 'round')}`],
    ['command', `versus ${run.argv.join(' ')}`],
    [
      'versus',
      run.git
        ? `${run.versus}, commit ${run.git.commit.slice(0, 12)}${run.git.dirty ? ', with changes' : ''}`
        : run.versus,
    ],
    ['processor', `${environment.cpu}, ${plural(environment.cores, 'core')}`],
    ['memory', quantity(environment.memory_bytes, 'B')],
    ['GPU', environment.gpus.length > 0 ? environment.gpus.join(', ') : 'none found'],
    ['GPU devices used', devices.size > 0 ? [...devices].join(', ') : null],
    ['system', `${environment.os}, Node.js ${environment.node}`],
    ...info.peaks.map((peak): [string, string] => [
      `peak of ${peak.backend}`,
      peak.gflops === null
        ? `not measured: ${peak.reason ?? 'no reason was recorded'}`
        : `${number(peak.gflops)} GFLOP/s ${peak.precision}, measured on a large matrix product`,
    ]),
  ];
  return facts.flatMap(([name, text]) =>
    text === null ? [] : [{ name: printable(name), text: printable(text) }],
  );
}

const deviceText = (device: {
  readonly name: string;
  readonly driver: string | null;
  readonly software: boolean;
}): string =>
  [device.name, device.driver, device.software ? 'software' : null]
    .filter((part) => part !== null)
    .join(', ');

/** What makes timings unsure, and what could not be read. */
export const warningsOf = ({ info }: ReportInput): string[] =>
  [...info.run.environment.warnings, ...info.warnings].map(printable);

/** How the numbers came about, for readers who ask. */
export const METHOD: readonly string[] = [
  'Every case runs in processes of its own. Rounds of all cases are interleaved, so that a change of the machine meets all of them alike.',
  'A value is the median of the round medians; its 95% interval is over rounds, not over repetitions, because repetitions in one process are not independent. The CSV names method and n in every row. Where a score was learnt by several seeds, seeds are what is called rounds, each a training of its own.',
  'Before a case is timed, its outputs are compared with a reference on the CPU. What disagrees, or ran partly on another device, is invalid and never ranked; a software adapter shows correctness only.',
  'Comparisons are ratios of medians. "Sure" means that the interval excludes 1 and that p is at most 0.05 after Holm’s correction over all comparisons of that metric in the suite, of arms and of backends apart. Counts are exact and need no interval.',
];
