import { ROUNDS_FOR_INTERVAL } from '../stats/rounds.ts';
import { isFraction, metricLabel, number, plural, quantity } from './format.ts';
import { caughtUpAt, type Learning, learningOf, type Race, type Standing } from './learning.ts';
import type { Certainty, Phrase } from './statement.ts';
import { spread } from './statement.ts';
import type { Table } from './table.ts';
import type { SuiteView } from './view.ts';

/** Where one arm catches up with another, in words. */
export interface LearningStatement {
  readonly text: Phrase;
  readonly certainty: Certainty;
  readonly because: string;
}

/** What a report says of learning from ever more images: the suite's contrasts on the first metric that it leads with. */
export function learningStatements(view: SuiteView): LearningStatement[] {
  const [first] = learningOf(view);
  return first ? first.races.flatMap((race) => statementOf(first, race)) : [];
}

function statementOf(found: Learning, race: Race): LearningStatement[] {
  const { standings, seeds } = race;
  if (standings.length === 0) return [];
  const text = sentence(found, race);
  const basis = `${plural(seeds, 'seed')} in pairs, the same test images for all`;
  if (seeds < ROUNDS_FOR_INTERVAL)
    return [{ text, certainty: 'unsure', because: `${basis}: no interval below ${ROUNDS_FOR_INTERVAL}` }];
  const told = standings.some(({ standing }) => standing !== 'level');
  // That it is level means only that so many seeds do not tell.
  return [{ text, certainty: told ? 'sure' : 'unsure', because: basis }];
}

function sentence({ metric, unit }: Learning, race: Race): Phrase {
  const { first, second, standings } = race;
  const [a, b] = [{ name: first }, { name: second }];
  const [least, most] = [standings[0]!, standings.at(-1)!];
  const range =
    least === most
      ? `at ${images(least)}`
      : `from ${least.images.toLocaleString('en-US')} to ${images(most)}`;
  const on = `on ${metricLabel(metric)}`;
  if (most.standing === 'unknown') {
    const amounts = standings.map((at) => `${byText(at, unit)} at ${at.images.toLocaleString('en-US')}`);
    return [
      `Whether `,
      b,
      ' catches up with ',
      a,
      ` ${on} is not told by so few seeds: ${amounts.join(', ')} images`,
    ];
  }
  const ahead = standings.filter(({ standing }) => standing === 'ahead');
  const where = ahead.map((at) => at.images.toLocaleString('en-US')).join(', ');
  const better = ahead.length > 0 ? `; it is surely ahead at ${where}` : '';
  const at = caughtUpAt(race);
  if (at === null) {
    return [
      b,
      ' does not catch up with ',
      a,
      ` ${on} ${range}: at ${images(most)} it is ${byText(most, unit)}${better}`,
    ];
  }
  if (at === least.images) {
    const alike = ahead.length === 0 ? 'is not told apart from ' : 'is nowhere surely behind ';
    return [b, ` ${alike}`, a, ` ${on} ${range}${better || `: ${byText(least, unit)} at ${images(least)}`}`];
  }
  const [before, from] = [standings.findLast((s) => s.images < at)!, standings.find((s) => s.images === at)!];
  return [
    b,
    ' catches up with ',
    a,
    ` ${on} at ${images(from)}: ${byText(before, unit)} at ${before.images.toLocaleString('en-US')}, ${byText(from, unit)} there${better || ', which is not told from 0'}`,
  ];
}

const images = (at: { readonly images: number }): string => plural(at.images, 'training image');

/** `12.3 points behind (95% interval 8.1 to 15.0)`; where the interval holds 0, its ends have signs. */
function byText({ difference, interval }: Standing, unit: string): string {
  const amount = (x: number): string => number(Math.abs(x) * (isFraction(unit) ? 100 : 1));
  const signed = (x: number): string => (x < 0 ? `−${amount(x)}` : amount(x));
  const name = isFraction(unit) ? 'points' : unit;
  const side = difference < 0 ? 'behind' : 'ahead';
  if (interval === null && difference === 0) return 'equal';
  if (interval === null) return `${amount(difference)} ${name} ${side}`;
  const turned = difference < 0 ? [-interval.hi, -interval.lo] : [interval.lo, interval.hi];
  return `${amount(difference)} ${name} ${side} (95% interval ${turned.map((x) => signed(x!)).join(' to ')})`;
}

/** Every arm at every number of images, with its interval over seeds. */
export function learningTable(view: SuiteView): Table | null {
  const found = learningOf(view);
  const [first] = found;
  if (first === undefined) return null;
  const sizes = [
    ...new Set(found.flatMap(({ curves }) => curves.flatMap(({ points }) => points.map((p) => p.images)))),
  ];
  return {
    caption:
      'Learning from ever more images: medians over seeds, with 95% intervals where the seeds are enough',
    columns: [
      { title: 'metric', numeric: false },
      { title: 'arm', numeric: false },
      ...sizes.sort((a, b) => a - b).map((n) => ({ title: plural(n, 'image'), numeric: true })),
    ],
    rows: found.flatMap(({ metric, curves }) =>
      curves.map(({ arm, points }) => [
        { text: metricLabel(metric) },
        { text: arm },
        ...sizes.map((n) => {
          const row = points.find((point) => point.images === n)?.row;
          if (!row) return { text: '–', numeric: true, muted: true };
          const enough = row.rounds >= ROUNDS_FOR_INTERVAL;
          const note = (enough && spread(row)) || `${plural(row.rounds, 'seed')}: no interval`;
          return { text: quantity(row.value, row.unit), note, order: row.value, numeric: true };
        }),
      ]),
    ),
    leftOut: 0,
  };
}
