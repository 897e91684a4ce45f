import type { Reporter, ReportFile, Summary } from '../../core/report.ts';
import { slug, uniqueNames } from '../format.ts';
import { comparisonSheet } from './comparisons.ts';
import { growthSheet } from './growth.ts';
import { learningSheet } from './learning.ts';
import { longSheet } from './long.ts';
import { timmSheets } from './timm.ts';
import { wideSheet } from './wide.ts';

/** `results.csv` (long), `comparisons.csv`, `growth.csv` and `learning.csv` where sizes or numbers of images were compared, one wide table per suite, and timm's table per backend for classification. */
export const csv: Reporter = {
  name: 'csv',
  render(input) {
    const name = uniqueNames();
    const files: ReportFile[] = [
      { file: `${name('results')}.csv`, body: longSheet(input.rows) },
      {
        file: `${name('comparisons')}.csv`,
        body: comparisonSheet([...input.comparisons, ...input.acrossBackends]),
      },
    ];
    const growth = growthSheet(input);
    if (growth !== null) files.push({ file: `${name('growth')}.csv`, body: growth });
    const learning = learningSheet(input);
    if (learning !== null) files.push({ file: `${name('learning')}.csv`, body: learning });
    const bySuite = new Map<string, Summary[]>();
    for (const row of input.rows) {
      const rows = bySuite.get(row.suite);
      if (rows) rows.push(row);
      else bySuite.set(row.suite, [row]);
    }
    for (const [suite, rows] of bySuite) {
      files.push({ file: `${name(slug(suite))}.csv`, body: wideSheet(rows) });
    }
    for (const { file, body } of timmSheets(input)) {
      files.push({ file: `${name(file.replace(/\.csv$/, ''))}.csv`, body });
    }
    return files;
  },
};
