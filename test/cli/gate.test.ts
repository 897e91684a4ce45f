import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { XMLValidator } from 'fast-xml-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ran, versus, versusEach, workspace } from './versus.ts';

interface GateJson {
  exit_code: number;
  rows: { metric: string; verdict: string; reason: string }[];
  files: string[];
}
type BaselineJson = { environment: { fingerprint: string }; rows: Record<string, unknown>[] };

const place = workspace();
const path = (file: string): string => join(place.dir, file);
const BASELINE = 'reports/baselines/main.json';

/** Six rounds of one cell, whose backend sleeps so long in every repetition. */
async function measured(sleepMs: number, ...more: string[]): Promise<string> {
  const args = ['run', '--profile', 'six', '--backend', 'plugin', '--model', 'narrow', '--quiet', '--json'];
  const ran = await versus(place.dir, [...args, ...more], sleeping(sleepMs));
  expect(ran.code, ran.stderr).toBe(0);
  return (JSON.parse(ran.stdout) as { run_id: string }).run_id;
}
const sleeping = (ms: number, env: Record<string, string> = {}) => ({
  env: { VERSUS_TEST_SLEEP_MS: String(ms), ...env },
});
const verdictOf = (ran: Ran, metric: string): string | undefined =>
  (JSON.parse(ran.stdout) as GateJson).rows.find((row) => row.metric === metric)?.verdict;

/** A baseline like the saved one but for `edit`. */
function edited(name: string, edit: (baseline: BaselineJson) => void): string {
  const baseline = JSON.parse(readFileSync(path(BASELINE), 'utf8')) as BaselineJson;
  edit(baseline);
  writeFileSync(path(name), JSON.stringify(baseline));
  return name;
}

/** What is done to the saved baseline, and the exit codes of the gate then: as it is, and with --strict. */
const EDITS: Record<string, [(baseline: BaselineJson) => void, [number, number]]> = {
  'another machine': [
    (b: BaselineJson) => {
      b.environment.fingerprint = 'another';
    },
    [0, 4],
  ],
  'an exact metric that changed': [
    (b: BaselineJson) => {
      const macs = b.rows.find((row) => row.metric === 'macs')!;
      Object.assign(macs, { value: Number(macs.value) - 1, values: [Number(macs.value) - 1] });
    },
    [1, 1],
  ],
  'a cell that is missing now': [
    (b: BaselineJson) => {
      b.rows.push(
        ...b.rows.map((row) => ({ ...row, case_id: String(row.case_id).replace('narrow', 'gone') })),
      );
    },
    [3, 3],
  ],
  'fewer rounds': [
    (b: BaselineJson) => {
      for (const row of b.rows) {
        const values = row.values as number[];
        if (row.assume !== 'exact') row.values = values.slice(0, 3);
      }
    },
    [0, 4],
  ],
};
const BROKEN = ['', 'not json', '[]', '{"kind":"versus-baseline","version":99}'];

describe('versus gate', () => {
  let same: string;
  let slow: string;
  beforeAll(async () => {
    const before = await versus(place.dir, ['gate']);
    expect(before.code, 'without a baseline').toBe(2);
    expect(before.stderr).toContain('versus baseline save');
    same = await measured(15);
    expect((await versus(place.dir, ['baseline', 'save'])).code).toBe(0);
    expect(existsSync(path(BASELINE))).toBe(true);
    slow = await measured(45);
  }, 300_000);
  afterAll(() => place.remove());

  it('fails what is slower, twice, and says so where CI looks', async () => {
    const summary = path('summary.md');
    writeFileSync(summary, 'kept\n');
    const options = sleeping(45, { GITHUB_STEP_SUMMARY: summary });
    const ran = await versus(place.dir, ['gate', '--quiet', '--json'], options);
    expect(ran.code, ran.stdout).toBe(1);
    const json = JSON.parse(ran.stdout) as GateJson;
    expect(json.exit_code).toBe(1);
    const latency = json.rows.find((row) => row.metric === 'latency');
    expect(latency).toMatchObject({ verdict: 'regression', reason: expect.stringContaining('confirmed by') });
    const xml = readFileSync(json.files.find((file) => file.endsWith('gate-junit.xml'))!, 'utf8');
    expect(XMLValidator.validate(xml)).toBe(true);
    expect(xml).toContain('<failure');
    expect(readFileSync(summary, 'utf8')).toMatch(/^kept\n.*regression/s);
    const gab = json.files.find((file) => file.endsWith('benchmark-smaller-is-better.json'))!;
    const entries = JSON.parse(readFileSync(gab, 'utf8')) as Record<string, unknown>[];
    expect(entries).toContainEqual(
      expect.objectContaining({
        name: expect.stringMatching(/ latency$/),
        unit: 'ms',
        value: expect.any(Number),
      }),
    );
  }, 300_000);

  it('passes the same code measured again: a slowdown that is gone fails nothing', async () => {
    const ran = await versus(place.dir, ['gate', '--run', slow, '--quiet', '--json'], sleeping(15));
    expect(ran.code, ran.stdout).toBe(0);
    expect(verdictOf(ran, 'latency')).toBe('ok');
  }, 300_000);

  it('fails, and does not pass, when the second measurement is stopped', async () => {
    let stopped = false;
    const ran = await versus(place.dir, ['gate', '--run', slow], {
      ...sleeping(45),
      during: ({ pid, stderr }) => {
        if (stopped || !stderr().includes('speed round 1')) return;
        stopped = true;
        process.kill(pid, 'SIGINT');
      },
    });
    expect(stopped).toBe(true);
    expect(ran.code).toBe(3);
  }, 300_000);

  describe('without measuring', () => {
    const EDITED = Object.keys(EDITS);
    let ran: Ran[];
    beforeAll(async () => {
      const judged = ['gate', '--run', slow, '--no-remeasure'];
      const against = EDITED.map((name, i) => ['--baseline', edited(`edited-${i}.json`, EDITS[name]![0])]);
      BROKEN.forEach((text, i) => {
        writeFileSync(path(`broken-${i}.json`), text);
      });
      ran = await versusEach(place.dir, [
        ...[[], ...against].flatMap((more) => [
          [...judged, ...more],
          [...judged, ...more, '--strict'],
        ]),
        ['gate', '--run', same, '--strict'],
        ...BROKEN.map((_, i) => ['gate', '--baseline', `broken-${i}.json`]),
      ]);
    }, 300_000);
    const codes = (line: number) => [ran[2 * line]!.code, ran[2 * line + 1]!.code];

    it('is inconclusive where a second measurement was due', () => expect(codes(0)).toEqual([0, 4]));

    it.each(EDITED)('holds a run against %s', (name) =>
      expect(codes(1 + EDITED.indexOf(name))).toEqual(EDITS[name]![1]));

    it('has nothing against the run that it was saved from, however strict', () =>
      expect(ran.at(-BROKEN.length - 1)!.code).toBe(0));

    it('refuses a baseline file that is none', () => {
      for (const { code, stderr } of ran.slice(-BROKEN.length)) {
        expect(code).toBe(2);
        expect(stderr).toMatch(/broken-\d\.json/);
        expect(stderr).not.toMatch(/\n\s+at \S+ \(/);
      }
    });
  });
});
