import type { ReportFile, Summary } from '../core/report.ts';

/** An entry as github-action-benchmark reads it (its README, "customBiggerIsBetter" and "customSmallerIsBetter"). */
interface Entry {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly range?: string;
  readonly extra: string;
}

/**
 * The two JSON files that github-action-benchmark tracks over commits: valid rows with a direction, without cold phases
 * and exact facts of the model.
 */
export function gabFiles(rows: readonly Summary[]): ReportFile[] {
  const entries = (better: Summary['better']) =>
    rows
      .filter((r) => r.better === better && r.status === 'ok' && r.value !== null)
      .filter((r) => r.phase !== 'cold' && r.phase !== 'static')
      .map(entryOf);
  return [
    { file: 'benchmark-smaller-is-better.json', body: toJson(entries('lower')) },
    { file: 'benchmark-bigger-is-better.json', body: toJson(entries('higher')) },
  ];
}

function entryOf(row: Summary): Entry {
  const range =
    row.ci_lo === null || row.ci_hi === null ? null : `${digits(row.ci_lo)} to ${digits(row.ci_hi)}`;
  const method = row.ci_method === null ? '' : `; interval: ${row.ci_method}`;
  return {
    name: `${row.case_id} ${row.metric}`,
    unit: row.unit,
    value: row.value!,
    ...(range === null ? {} : { range }),
    extra: `n=${row.n}; rounds=${row.rounds}; device=${row.device ?? 'unknown'}${method}`,
  };
}

const digits = (value: number) => String(Number(value.toPrecision(6)));
const toJson = (entries: readonly Entry[]) => `${JSON.stringify(entries, null, 2)}\n`;
