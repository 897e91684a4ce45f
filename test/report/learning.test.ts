import { describe, expect, it } from 'vitest';
import type { ReportInput, Summary } from '../../src/core/report.ts';
import { answerOf, verdictOf } from '../../src/report/answer.ts';
import { chartsOf } from '../../src/report/charts/index.ts';
import { csv } from '../../src/report/csv/index.ts';
import { caughtUpAt, learningOf } from '../../src/report/learning.ts';
import { learningStatements, learningTable } from '../../src/report/learning-text.ts';
import { markdown } from '../../src/report/markdown/index.ts';
import { page } from '../../src/report/page/index.ts';
import type { Phrase } from '../../src/report/statement.ts';
import { suiteViews } from '../../src/report/view.ts';
import { sampleInput } from './sample.ts';
import { growing } from './sample-suites.ts';

const SIZES = [100, 400, 1600];
/** Seeds differ by this about an arm's accuracy, in another order than the arms do. */
const SEEDS = [-0.02, 0.01, 0, 0.02, -0.01, 0.015];
/** What each seed of the second arm has more than the first's. */
const PAIRS = [0.004, -0.003, 0.002, -0.004, 0.003, -0.001];

const plain = (text: Phrase) => text.map((part) => (typeof part === 'string' ? part : part.name)).join('');

/** A run of two arms with these accuracies, by number of images. */
function run(cnn: readonly number[], vit: readonly number[], seeds = 6): ReportInput {
  const sample = sampleInput({ suites: [growing()] });
  const [suite] = sample.info.run.suites;
  const { growth: _, ...info } = suite!;
  const like = sample.rows.find((row) => row.batch === 1 && row.status === 'ok' && row.phase === 'steady')!;
  const row = (arm: string, means: readonly number[], more: readonly number[]): Summary => {
    const learning = means.map((mean, i) => ({
      images: SIZES[i]!,
      values: SEEDS.slice(0, seeds).map((seed, k) => mean + seed + more[k]!),
    }));
    const { values } = learning.at(-1)!;
    return {
      ...{ ...like, arm, case_id: arm, phase: 'quality', metric: 'accuracy', unit: 'share' },
      ...{ better: 'higher', n: 544, rounds: seeds, value: means.at(-1)!, values, learning },
    };
  };
  const rows = [
    row(
      'cnn',
      cnn,
      PAIRS.map(() => 0),
    ),
    row('vit', vit, PAIRS),
  ];
  const suites = [{ ...info, headline: ['accuracy'], contrasts: [['cnn', 'vit'] as const] }];
  const cells = rows.map(({ arm }) => ({ ...sample.info.cells[0]!, arm, case_id: arm }));
  return {
    ...{ rows, comparisons: [], acrossBackends: [] },
    info: { ...sample.info, cells, run: { ...sample.info.run, suites } },
  };
}
const viewOf = (input: ReportInput) => suiteViews(input)[0]!;
const said = (input: ReportInput) => {
  const [statement, ...others] = learningStatements(viewOf(input));
  expect(others).toEqual([]);
  return { ...statement!, text: plain(statement!.text) };
};
const caught = (input: ReportInput) => caughtUpAt(learningOf(viewOf(input))[0]!.races[0]!);

describe('whether one arm catches up with another', () => {
  const crossing = run([0.5, 0.8, 0.9], [0.4, 0.8, 0.9]);

  it('is told by the fewest images from which on it is nowhere surely behind', () => {
    expect(caught(crossing)).toBe(400);
    const { text, certainty, because } = said(crossing);
    expect(text).toMatch(
      /^vit catches up with cnn on accuracy at 400 training images: 9\.95 points behind \(95% interval 9\.60 to 10\.4\) at 100, 0\.0500 points ahead \(95% interval −0\.400 to 0\.400\) there, which is not told from 0$/,
    );
    expect([certainty, because]).toEqual(['sure', '6 seeds in pairs, the same test images for all']);
    expect(plain(verdictOf(answerOf(viewOf(crossing))))).toBe(text);
  });

  it('says that it passes, that it never does, that it was never behind, and that it falls back', () => {
    expect(said(run([0.5, 0.8, 0.9], [0.4, 0.8, 0.95])).text).toMatch(/there; it is surely ahead at 1,600$/);
    const never = run([0.5, 0.8, 0.9], [0.4, 0.7, 0.8]);
    expect(caught(never)).toBeNull();
    expect(said(never).text).toMatch(
      /^vit does not catch up with cnn on accuracy from 100 to 1,600 training images: at 1,600 training images it is 9\.95 points behind/,
    );
    const always = said(run([0.5, 0.8, 0.9], [0.5, 0.8, 0.9]));
    expect(always.text).toMatch(/^vit is not told apart from cnn on accuracy from 100 to 1,600/);
    expect(always.certainty).toBe('unsure');
    expect(said(run([0.5, 0.8, 0.9], [0.6, 0.8, 0.9])).text).toBe(
      'vit is nowhere surely behind cnn on accuracy from 100 to 1,600 training images; it is surely ahead at 100',
    );
    const falls = run([0.5, 0.8, 0.9], [0.6, 0.8, 0.8]);
    expect(caught(falls)).toBeNull();
    expect(said(falls).text).toMatch(/^vit does not catch up .*; it is surely ahead at 100$/);
  });

  it('is not told by few seeds', () => {
    const few = run([0.5, 0.8, 0.9], [0.4, 0.8, 0.9], 3);
    expect(caught(few)).toBeNull();
    const { text, certainty } = said(few);
    expect(text).toMatch(
      /^Whether vit catches up with cnn on accuracy is not told by so few seeds: 9\.80 points behind at 100/,
    );
    expect(certainty).toBe('unsure');
    expect(learningTable(viewOf(few))!.rows[0]![2]!.note).toBe('3 seeds: no interval');
  });

  it('stands in every format, with a chart', async () => {
    const { charts } = chartsOf(crossing);
    expect(charts[0]!.file).toMatch(/-accuracy-learning$/);
    expect(charts.filter(({ file }) => file.includes('accuracy'))).toHaveLength(1);
    const files = async (reporter: typeof csv, name: string) =>
      String((await reporter.render(crossing)).find(({ file }) => file === name)!.body);
    const sheet = await files(csv, 'learning.csv');
    expect(sheet.split(/\r?\n/).filter(Boolean)).toHaveLength(1 + 2 * SIZES.length);
    for (const text of [await files(markdown, 'report.md'), await files(page, 'report.html')]) {
      expect(text).toContain('at 400 training images');
      expect(text).toContain('Learning from ever more images');
    }
  });
});
