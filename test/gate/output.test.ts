import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';
import { saveBaseline } from '../../src/gate/baseline.ts';
import { gabFiles } from '../../src/gate/gab.ts';
import { judge } from '../../src/gate/judge.ts';
import { gateJunit, runJunit } from '../../src/gate/junit.ts';
import { gateMarkdown } from '../../src/gate/markdown.ts';
import { runReporters } from '../../src/gate/reporters.ts';
import { summarise } from '../../src/stats/summarise.ts';
import { cellOf, checkOf, END, measured, runOf } from '../stats/records.ts';
import { CONFIG, info, latencyRow } from './noise.ts';

const HOSTILE = `<b onclick='x'>|\`a\`\n&amp;\u0001\ud800]]>*_[l](u)`;
const SIX = [50, 50.2, 50.4, 50.1, 50.3, 50.5];
const parse = (xml: string) => {
  expect(XMLValidator.validate(xml)).toBe(true);
  return new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '' }).parse(xml).testsuites;
};
const result = () => {
  const baseline = saveBaseline(info(), [
    latencyRow('a', SIX),
    latencyRow(HOSTILE, SIX),
    latencyRow('c', SIX),
  ]);
  const rows = [
    latencyRow(
      'a',
      SIX.map((v) => v * 1.2),
    ),
    latencyRow(HOSTILE, [], { status: 'crashed', reason: HOSTILE, value: null }),
    latencyRow('c', SIX),
  ];
  return judge(baseline, info(), rows, CONFIG, { remeasured: rows });
};

describe('gateMarkdown', () => {
  it('leads with the verdict and lists what is not ok, worst first', () => {
    const text = gateMarkdown(result());
    expect(text).toMatch(/^## Performance gate: regression\n/);
    expect(text).toContain('1 regression, 1 invalid, 1 ok');
    const lines = text.split('\n').filter((l) => l.startsWith('| '));
    expect(lines[2]).toMatch(/^\| regression +\| s\/w\/a\/cpu\/fp32\/b1 +\| latency/);
    expect(lines[3]).toMatch(/^\| invalid/);
    expect(lines).toHaveLength(4);
  });

  it('tells a broken case in one line', () => {
    const rows = ['latency', 'throughput'].map((metric) => latencyRow('a', SIX, { metric }));
    const broken = rows.map((r) => ({ ...r, status: 'oom' as const, reason: 'killed', value: null }));
    const text = gateMarkdown(judge(saveBaseline(info(), rows), info(), broken, CONFIG));
    expect(text).toContain('2 invalid');
    expect(text.split('\n').filter((l) => l.startsWith('| invalid'))).toEqual([
      expect.stringContaining('| latency, throughput |'),
    ]);
  });

  it('leaves no markup of a name alive and keeps the columns', () => {
    const text = gateMarkdown(result());
    expect(text).not.toContain('<b');
    expect(text).not.toMatch(/[^\\][`*]/);
    const row = text.split('\n').find((l) => l.startsWith('| invalid'))!;
    expect(row.replaceAll('\\|', '').match(/\|/g)).toHaveLength(8);
  });

  it('says that all is well, or that some is open', () => {
    const baseline = saveBaseline(info(), [latencyRow('a', SIX)]);
    const ok = judge(baseline, info(), [latencyRow('a', SIX)], CONFIG);
    expect(gateMarkdown(ok)).toBe('## Performance gate: ok\n\nRun r1 against baseline r1: 1 ok.\n');
    const few = judge(baseline, info(), [latencyRow('a', [50])], CONFIG);
    expect(gateMarkdown(few)).toContain('some rows inconclusive');
  });
});

describe('JUnit', () => {
  it('of a gate: regressions fail, invalid rows are errors', () => {
    const xml = gateJunit(result());
    const suites = parse(xml);
    expect(suites).toMatchObject({ tests: '3', failures: '1', errors: '1', skipped: '0' });
    const cases = suites.testsuite.testcase as { failure?: { message: string }; error?: unknown }[];
    expect(cases).toHaveLength(3);
    expect(cases.find((c) => c.failure)?.failure?.message).toContain('confirmed by a second measurement');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these must be gone
    expect(xml).not.toMatch(/[\u0001\ud800]/u);
  });

  it('of a run: one case per cell', async () => {
    const [a, b, c] = [cellOf('a'), cellOf('b'), cellOf('c')];
    const lines = [
      runOf([a, b, c]),
      ...measured(a, SIX),
      checkOf(b, { status: 'invalid', reason: 'differs' }),
    ];
    const { info: run } = await summarise([...lines, END]);
    const suites = parse(runJunit(run));
    expect(suites).toMatchObject({ tests: '3', failures: '1', errors: '0', skipped: '1' });
    expect(suites.testsuite.testcase[1].failure.message).toBe('invalid: differs');
  });

  it('of nothing is still a document', async () => {
    const { info: run } = await summarise([runOf([]), END]);
    expect(parse(runJunit(run))).toMatchObject({ tests: '0' });
  });
});

describe('github-action-benchmark', () => {
  it('splits valid rows by direction', async () => {
    const a = cellOf('a');
    const { info: run, rows } = await summarise([runOf([a]), ...measured(a, SIX), END]);
    const [smaller, bigger] = gabFiles(rows).map((f) => JSON.parse(String(f.body)));
    expect(smaller).toEqual([
      expect.objectContaining({
        name: 's/w/a/cpu/fp32/b1 latency',
        unit: 'ms',
        value: 50.25,
        range: '50 to 50.5',
      }),
    ]);
    expect(bigger.map((e: { name: string }) => e.name.split(' ')[1])).toEqual(['throughput', 'gflops']);
    expect(runReporters.map((r) => r.name)).toEqual(['junit', 'gab']);
    const input = { info: run, rows, comparisons: [], acrossBackends: [] };
    const files = (await Promise.all(runReporters.map((r) => r.render(input)))).flat();
    expect(files.map((f) => f.file)).toEqual([
      'junit.xml',
      'benchmark-smaller-is-better.json',
      'benchmark-bigger-is-better.json',
    ]);
  });

  it('leaves out rows without a valid value', () => {
    const rows = [latencyRow('a', [], { status: 'invalid', value: null })];
    expect(gabFiles(rows).map((f) => JSON.parse(String(f.body)))).toEqual([[], []]);
  });
});
