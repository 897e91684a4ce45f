/**
 * The gate's own error rates by simulation: how often it fails a commit that changed nothing, and how often it finds a
 * slowdown, by noise of the machine, rounds and tolerance; then how often each 95% interval covers the truth.
 *
 *   npx tsx scripts/gate-power.ts [commits per figure, 300 when left out] > table.md
 */
import { markdownTable } from 'markdown-table';
import { exitCodeOf } from '../src/gate/result.ts';
import { pairedBootstrapRatio } from '../src/stats/bootstrap.ts';
import { hodgesLehmannRatio, pairedRatio } from '../src/stats/hodges-lehmann.ts';
import { medianInterval } from '../src/stats/interval.ts';
import { gateOnce, NOISE } from '../test/gate/noise.ts';
import { gaussian } from '../test/stats/helpers.ts';

const COMMITS = Number(process.argv[2] ?? 300);
const MACHINES = Object.keys(NOISE) as (keyof typeof NOISE)[];
const SLOWDOWNS = [1, 1.02, 1.05, 1.1];
const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;

/** Share of commits that fail. Ten cases with two metrics each; the slowdown is in one of them. */
function failures(machine: keyof typeof NOISE, rounds: number, slowdown: number, tolerance: number): number {
  const draw = gaussian(1 + rounds);
  let failed = 0;
  for (let i = 0; i < COMMITS; i++) {
    const options = { cases: 10, rounds, tolerance, slowdown: (arm: number) => (arm === 0 ? slowdown : 1) };
    if (exitCodeOf(gateOnce(draw, NOISE[machine], options), { strict: false }) === 1) failed++;
  }
  return failed / COMMITS;
}

function gateTable(tolerance: number): string {
  const head = ['machine', 'rounds', 'false alarms', '2% slower', '5% slower', '10% slower'];
  const rows = MACHINES.flatMap((machine) =>
    [6, 8, 10].map((rounds) => [
      machine,
      String(rounds),
      ...SLOWDOWNS.map((slowdown) => percent(failures(machine, rounds, slowdown, tolerance))),
    ]),
  );
  return markdownTable([head, ...rows]);
}

/** Coverage under noise with a heavy tail and a drift that both sides share; the true ratio is 1. */
function coverageTable(): string {
  const methods = ['paired Hodges–Lehmann', 'paired bootstrap', 'Hodges–Lehmann', 'median, order statistics'];
  const rows = [3, 5, 6, 8, 10].map((n) => {
    const draw = gaussian(n);
    const hits = [0, 0, 0, 0];
    for (let t = 0; t < 4 * COMMITS; t++) {
      const noise = () => Math.exp(0.02 * draw() + (draw() > 1.6 ? 0.05 : 0));
      const drift = Array.from({ length: n }, () => Math.exp(0.01 * draw()));
      const a = drift.map((d) => d * noise());
      const b = drift.map((d) => d * noise());
      const plain = Array.from({ length: n }, () => Math.exp(0.02 * draw()));
      const intervals = [
        pairedRatio(a, b)?.interval,
        pairedBootstrapRatio(a, b, { resamples: 500 })?.interval,
        hodgesLehmannRatio(a, b)?.interval,
        medianInterval(plain),
      ];
      intervals.forEach((interval, m) => {
        if (interval && interval.lo <= 1 && 1 <= interval.hi) hits[m]!++;
      });
    }
    return [String(n), ...hits.map((h) => (h === 0 ? 'none' : percent(h / (4 * COMMITS))))];
  });
  return markdownTable([['rounds', ...methods], ...rows]);
}

process.stdout.write(`Commits that the gate fails, of ${COMMITS} per figure; tolerance 5%:

${gateTable(0.05)}

Tolerance 1%:

${gateTable(0.01)}

Coverage of 95% intervals:

${coverageTable()}
`);
