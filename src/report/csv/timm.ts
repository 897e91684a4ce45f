import type { CellInfo, ReportInput, Summary } from '../../core/report.ts';
import { slug } from '../format.ts';
import { type SheetCell, sheet } from './sheet.ts';

/** The columns of `results/benchmark-infer-*.csv` in pytorch-image-models, in their order. */
const HEADER = [
  'model',
  'infer_img_size',
  'infer_samples_per_sec',
  'infer_step_time',
  'infer_batch_size',
  'param_count',
  'infer_gmacs',
  'infer_macts',
] as const;

/**
 * One sheet per backend and precision for workloads that classify, so that tools made for timm's tables read ours: images per second,
 * milliseconds per batch, parameters in millions, GMACs per image, rounded as timm rounds; fastest first. Valid
 * cells only, because these columns have no place for a reason. What is not known (`infer_macts`) stays empty.
 */
export function timmSheets(input: ReportInput): { readonly file: string; readonly body: string }[] {
  const facts = new Map(input.info.cells.map((cell) => [cell.case_id, cell]));
  const cells = new Map<string, Summary[]>();
  for (const row of input.rows) {
    if (!/^classif/.test(row.workload) || row.status !== 'ok' || row.phase !== 'steady') continue;
    const list = cells.get(row.case_id);
    if (list) list.push(row);
    else cells.set(row.case_id, [row]);
  }
  const sheets = new Map<string, { speed: number; line: SheetCell[] }[]>();
  for (const [id, rows] of cells) {
    const line = toLine(rows, facts.get(id));
    if (line === null) continue;
    const head = rows[0]!;
    const file = `benchmark-infer-${slug(head.precision, head.backend)}.csv`;
    const list = sheets.get(file);
    if (list) list.push(line);
    else sheets.set(file, [line]);
  }
  return [...sheets].map(([file, lines]) => ({
    file,
    body: sheet(
      HEADER,
      lines.sort((a, b) => b.speed - a.speed).map(({ line }) => line),
    ),
  }));
}

function toLine(
  rows: readonly Summary[],
  cell: CellInfo | undefined,
): { speed: number; line: SheetCell[] } | null {
  const head = rows[0]!;
  const rate = rows.find((row) => /^(images|samples|items)\/s$/.test(row.unit) && row.value !== null);
  const time = rows.find((row) => row.unit === 'ms' && row.better === 'lower' && row.value !== null);
  const perBatch = time?.value ?? (rate?.value ? (head.batch / rate.value) * 1000 : null);
  if (perBatch === null || perBatch <= 0) return null;
  const speed = rate?.value ?? (head.batch / perBatch) * 1000;
  const macs = cell?.facts?.macs ?? null;
  const parameters = cell?.facts?.parameters ?? null;
  return {
    speed,
    line: [
      head.model,
      cell?.facts?.image_size ?? null,
      round(speed, 2),
      round(perBatch, 3),
      head.batch,
      parameters === null ? null : round(parameters / 1e6, 2),
      macs === null ? null : round(macs / head.batch / 1e9, 2),
      null,
    ],
  };
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));
