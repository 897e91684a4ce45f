import { XMLBuilder } from 'fast-xml-parser';
import type { Status } from '../core/record.ts';
import type { CellInfo, RunInfo } from '../core/report.ts';
import type { GateResult, GateVerdict } from './result.ts';

interface TestCase {
  readonly suite: string;
  readonly name: string;
  readonly outcome: 'passed' | 'failure' | 'error' | 'skipped';
  readonly message: string;
}

const VERDICTS: Readonly<Record<GateVerdict, TestCase['outcome']>> = {
  ok: 'passed',
  improved: 'passed',
  new: 'passed',
  regression: 'failure',
  invalid: 'error',
  missing: 'error',
  suspected: 'skipped',
  inconclusive: 'skipped',
};

const STATUSES: Readonly<Record<Status, TestCase['outcome']>> = {
  ok: 'passed',
  invalid: 'failure',
  failed: 'error',
  timeout: 'error',
  crashed: 'error',
  oom: 'error',
  'correctness-only': 'skipped',
  unsupported: 'skipped',
  unavailable: 'skipped',
  cancelled: 'skipped',
};

/** One test case per gated row: regressions fail, invalid and missing rows are errors, undecided rows are skipped. */
export function gateJunit(result: GateResult): string {
  const cases = result.rows.map((row) => ({
    suite: row.suite,
    name: `${row.case_id} ${row.metric}`,
    outcome: VERDICTS[row.verdict],
    message: `${row.verdict}: ${row.reason}`,
  }));
  return toXml('versus gate', cases);
}

/** One test case per cell of a run: wrong outputs fail, what broke is an error, what could not run here is skipped. */
export function runJunit(info: RunInfo): string {
  return toXml(
    'versus run',
    info.cells.map((cell: CellInfo) => ({
      suite: cell.suite,
      name: cell.case_id,
      outcome: STATUSES[cell.status],
      message: `${cell.status}${cell.reason === null ? '' : `: ${cell.reason}`}`,
    })),
  );
}

/** JUnit XML as Jenkins, GitLab and GitHub's report actions read it: testsuites > testsuite > testcase. */
function toXml(name: string, cases: readonly TestCase[]): string {
  const builder = new XMLBuilder({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    format: true,
    suppressEmptyNode: true,
  });
  const suites = new Map<string, TestCase[]>();
  for (const test of cases) {
    const list = suites.get(test.suite);
    if (list) list.push(test);
    else suites.set(test.suite, [test]);
  }
  return builder.build({
    '?xml': { '@version': '1.0', '@encoding': 'UTF-8' },
    testsuites: {
      '@name': name,
      ...totals(cases),
      testsuite: [...suites].map(([suite, list]) => ({
        '@name': clean(suite),
        ...totals(list),
        testcase: list.map((c) => ({
          '@name': clean(c.name),
          '@classname': clean(suite),
          ...(c.outcome === 'passed' ? {} : { [c.outcome]: { '@message': clean(c.message) } }),
        })),
      })),
    },
  });
}

function totals(cases: readonly TestCase[]): Record<string, number> {
  const count = (outcome: TestCase['outcome']) => cases.filter((c) => c.outcome === outcome).length;
  return {
    '@tests': cases.length,
    '@failures': count('failure'),
    '@errors': count('error'),
    '@skipped': count('skipped'),
  };
}

/** XML 1.0 has no way to write most control characters, lone surrogates, U+FFFE and U+FFFF: they become U+FFFD. */
function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\p{Surrogate}]/gu, '\ufffd');
}
