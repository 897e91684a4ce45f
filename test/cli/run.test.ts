import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COLUMNS } from '../../src/core/report.ts';
import { type Ran, versus, workspace } from './versus.ts';

interface RunJson {
  run_id: string;
  outcome: string;
  exit_code: number;
  dir: string;
  records: string;
  reports: string[];
  counts: Record<string, number>;
}
type Line = Record<string, unknown> & { type: string; pass: string; backend: string; status: string };

const linesOf = (path: string): Line[] =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

describe('versus run, with a plugin of each kind', () => {
  const place = workspace();
  let ran: Ran;
  let json: RunJson;
  beforeAll(async () => {
    ran = await versus(place.dir, ['run', '--profile', 'smoke', '--json']);
    json = JSON.parse(ran.stdout) as RunJson;
  }, 120_000);
  afterAll(() => place.remove());

  it('ends with 3 because one backend lies, and says which', () => {
    expect(ran.code).toBe(3);
    expect(json.exit_code).toBe(3);
    expect(json.outcome).toBe('complete');
    expect(json.counts).toEqual({ ok: 4, invalid: 2 });
    expect(ran.stderr).toContain('liar');
  });

  it('never times what disagrees with the reference', () => {
    const lines = linesOf(json.records);
    const liar = lines.filter((line) => line.backend === 'liar' && line.type === 'case');
    expect(liar.map((line) => [line.pass, line.status])).toEqual([
      ['check', 'invalid'],
      ['check', 'invalid'],
    ]);
    expect(lines.filter((line) => line.pass === 'speed')).toHaveLength(8);
    expect(lines.at(-1)).toMatchObject({ type: 'end', outcome: 'complete' });
  });

  it('writes every kind of report, in the run’s folder and as latest', () => {
    for (const folder of [json.dir, join(place.dir, 'reports/latest')]) {
      for (const file of ['results.csv', 'widths.csv', 'report.md', 'report.html', 'lines.txt']) {
        expect(existsSync(join(folder, file)), `${folder}/${file}`).toBe(true);
      }
    }
    expect(json.reports.some((path) => path.endsWith('.png'))).toBe(true);
    expect(json.reports.some((path) => path.endsWith('.svg'))).toBe(true);
  });

  it('writes the long CSV with the documented columns and no value for the liar', () => {
    const rows = parse(readFileSync(join(place.dir, 'reports/latest/results.csv')), {
      columns: true,
    }) as Record<string, string>[];
    expect(Object.keys(rows[0]!)).toEqual([...COLUMNS]);
    const latency = rows.filter((row) => row.metric === 'latency');
    expect(latency.filter((row) => row.backend === 'plugin').every((row) => Number(row.value) >= 5)).toBe(
      true,
    );
    expect(latency.filter((row) => row.backend === 'liar').every((row) => row.value === '')).toBe(true);
    expect(latency.filter((row) => row.backend === 'liar').every((row) => row.reason !== '')).toBe(true);
  });

  it('draws charts that are pictures', async () => {
    const png = json.reports.find((path) => path.endsWith('.png'))!;
    const { width, height } = await sharp(png).metadata();
    expect(width).toBeGreaterThan(600);
    expect(height).toBeGreaterThan(300);
  });

  it('rebuilds the same report from the records alone', async () => {
    const before = readFileSync(join(place.dir, 'reports/latest/results.csv'), 'utf8');
    const again = await versus(place.dir, ['report', json.run_id, '--out', join(place.dir, 'again')]);
    expect(again.code).toBe(0);
    expect(readFileSync(join(place.dir, 'again/results.csv'), 'utf8')).toBe(before);
  });

  it('tells what was measured when the report cannot be written', async () => {
    const reporter = join(place.dir, 'reporter.ts');
    const text = readFileSync(reporter, 'utf8');
    writeFileSync(reporter, text.replace("'lines.txt'", "'results.csv/lines.txt'"));
    const args = ['run', '--profile', 'smoke', '--backend', 'plugin', '--model', 'narrow', '--json'];
    const ran = await versus(place.dir, args);
    writeFileSync(reporter, text);
    expect(ran.code).toBe(3);
    const told = JSON.parse(ran.stdout) as RunJson;
    expect(told).toMatchObject({ outcome: 'complete', exit_code: 3, reports: [], counts: { ok: 1 } });
    expect(ran.stderr).toContain('could not be written');
    expect(linesOf(told.records).at(-1)).toMatchObject({ type: 'end' });
  }, 120_000);

  it('leaves a cut-off last line out, says so, and loses nothing else', async () => {
    const copy = join(place.dir, 'cut.jsonl');
    writeFileSync(copy, readFileSync(json.records, 'utf8').replace(/\n[^\n]*"type":"end"[^\n]*\n$/, '\n'));
    appendFileSync(copy, '{"type":"case","run_id":"x","sam');
    const again = await versus(place.dir, [
      'report',
      copy,
      '--out',
      join(place.dir, 'cut'),
      '--format',
      'csv',
    ]);
    expect(again.code).toBe(0);
    expect(again.stderr).toContain('cut off');
    expect(readFileSync(join(place.dir, 'cut/results.csv'), 'utf8')).toBe(
      readFileSync(join(place.dir, 'reports/latest/results.csv'), 'utf8'),
    );
  });

  it('goes on with a run that was cut short, and measures only what is missing', async () => {
    const lines = readFileSync(json.records, 'utf8').trim().split('\n');
    const kept = lines.slice(0, -4);
    writeFileSync(json.records, `${kept.join('\n')}\n${lines.at(-4)!.slice(0, 40)}`);
    const resumed = await versus(place.dir, ['run', '--resume', json.run_id, '--json', '--quiet']);
    const result = JSON.parse(resumed.stdout) as RunJson;
    expect(result.run_id).toBe(json.run_id);
    const after = readFileSync(json.records, 'utf8').trim().split('\n');
    expect(after.slice(0, kept.length)).toEqual(kept);
    expect(after).toHaveLength(lines.length);
    expect(result.counts).toEqual(json.counts);
  }, 120_000);
});

describe('versus run, stopped', () => {
  const place = workspace();
  afterAll(() => place.remove());

  it.each([
    ['Ctrl-C', ['SIGINT']],
    ['an impatient second one', ['SIGINT', 'SIGINT']],
    ['SIGTERM', ['SIGTERM']],
  ] as const)(
    'keeps the records and writes the report on %s',
    async (_, signals) => {
      let stopped = false;
      const args = ['run', '--profile', 'six', '--backend', 'plugin', '--model', 'narrow', '--json'];
      const ran = await versus(place.dir, args, {
        during: ({ pid, stderr }) => {
          if (stopped || !stderr().includes('speed round 3')) return;
          stopped = true;
          signals.forEach((signal, i) => {
            setTimeout(() => process.kill(pid, signal), 50 * i);
          });
        },
      });
      const json = JSON.parse(ran.stdout) as RunJson;
      expect(ran.code).toBe(3);
      expect(json.outcome).toBe('interrupted');
      const lines = linesOf(json.records);
      expect(lines.at(-1)).toMatchObject({ type: 'end', outcome: 'interrupted' });
      expect(
        lines.filter((line) => line.pass === 'speed' && line.status === 'ok').length,
      ).toBeGreaterThanOrEqual(2);
      expect(existsSync(join(place.dir, 'reports/latest/report.html'))).toBe(true);
    },
    120_000,
  );
});
