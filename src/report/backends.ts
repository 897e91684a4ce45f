import type { RunRecord } from '../core/record.ts';
import type { Comparison, Summary } from '../core/report.ts';
import { metricLabel, printable, quantity } from './format.ts';
import { gapsOf } from './gaps.ts';
import { type Phrase, type Statement, statement } from './statement.ts';
import { byMerit, groupBy, headline, isRanked, type SuiteView, statusWord, unique } from './view.ts';

const MOST_NAMED = 4;

/** One model on every backend that it was planned on, in one precision, at one batch, on the suite's leading time. */
export interface Race {
  readonly workload: string;
  readonly metric: string;
  readonly arm: string;
  readonly batch: number;
  readonly precision: string;
  /** One per backend, in the order of the run. */
  readonly rows: readonly Summary[];
  /** Valid ones, best first. */
  readonly ranking: readonly (Summary & { readonly value: number })[];
  /** The best against each other valid one, in the order of the ranking. */
  readonly statements: readonly Statement[];
}

/** The models that were planned on more than one backend, in the order of the run. */
export function racesOf(view: SuiteView): Race[] {
  const clocks = new Map(
    unique(view.rows.map(({ workload }) => workload)).map((workload) => [workload, clockOf(view, workload)]),
  );
  const timed = view.rows.filter((row) => row.metric === clocks.get(row.workload));
  const cells = groupBy(timed, ({ workload, arm, precision, batch }) =>
    JSON.stringify([workload, arm, precision, batch]),
  );
  return [...cells.values()].flatMap((rows) => (rows.length > 1 ? [raceOf(view, rows)] : []));
}

/** The first duration that the suite leads with and the workload has; its first timing where it leads with none. */
function clockOf(view: SuiteView, workload: string): string | undefined {
  const steady = view.rows.filter((row) => row.workload === workload && row.phase === 'steady');
  const led = headline(view).flatMap((metric) => steady.find((row) => row.metric === metric) ?? []);
  const isTime = (row: Summary) => row.unit === 'ms' && row.better === 'lower';
  return (led.find(isTime) ?? led[0] ?? steady.find(isTime))?.metric;
}

function raceOf(view: SuiteView, rows: readonly Summary[]): Race {
  const { workload, metric, arm, batch, precision, better } = rows[0]!;
  const ranking = rows.filter(isRanked).sort(byMerit(better));
  const mine = view.across.filter(
    ({ a, ...c }) =>
      c.workload === workload &&
      c.metric === metric &&
      a.arm === arm &&
      c.batch === batch &&
      c.precision === precision,
  );
  const [best, ...others] = ranking;
  const statements = others.flatMap((other) => {
    const ids = new Set([best!.case_id, other.case_id]);
    const pair = mine.find(({ a, b }) => ids.has(a.case_id) && ids.has(b.case_id));
    return pair ? [statement(byBackend(pair))] : [];
  });
  return { workload, metric, arm, batch, precision, rows, ranking, statements };
}

/** The contenders of a comparison of backends go by the backends' names. */
export const byBackend = (comparison: Comparison): Comparison => ({
  ...comparison,
  a: { ...comparison.a, arm: comparison.a.backend },
  b: { ...comparison.b, arm: comparison.b.backend },
});

/** `resnet-18`, with workload, batch and precision as far as they tell this race from others of the suite. */
export function raceName(race: Race, all: readonly Race[]): string {
  const differ = (of: (race: Race) => unknown): boolean => unique(all.map(of)).length > 1;
  return [
    printable(race.arm),
    ...(differ(({ precision }) => precision) ? [race.precision] : []),
    ...(differ(({ workload }) => workload) ? [printable(race.workload)] : []),
    ...(differ(({ batch }) => batch) ? [`batch ${race.batch}`] : []),
  ].join(', ');
}

/** Which backend is best for a model, and by how much. */
export function raceSentence(race: Race): Phrase {
  const [best] = race.ranking;
  const on = metricLabel(race.metric);
  if (!best) return [`no backend has a valid value on ${on}`];
  const [first] = race.statements;
  if (first) return first.text;
  if (race.ranking.length > 1) return [{ name: best.backend }, ` measured best on ${on}`];
  return ['only ', { name: best.backend }, ` has a valid value on ${on}: ${quantity(best.value, best.unit)}`];
}

/** `not ranked: onnxruntime-webgpu correctness only`; empty where every backend is. */
export function unrankedIn(race: Race): string {
  const rows = race.rows.filter((row) => !isRanked(row));
  if (rows.length === 0) return '';
  return `not ranked: ${rows.map((row) => `${printable(row.backend)} ${word(row)}`).join(', ')}`;
}

const word = (row: Summary): string => (row.status === 'ok' ? 'without a value' : statusWord(row.status));

/** Why a backend that the config has is not on this machine, with the step that would bring it. */
export interface Unavailable {
  readonly backend: string;
  readonly reason: string;
}

export function unavailable(backends: RunRecord['backends'] = []): Unavailable[] {
  return backends
    .filter(({ available }) => !available)
    .map(({ name, reason, fix }) => ({
      backend: printable(name),
      reason: printable(`${reason ?? 'no reason was recorded'}${fix ? ` To change that: ${fix}` : ''}`),
    }));
}

/** Sentences on the backends that a reader might miss where several raced: not asked for, not ranked, not on this machine. */
export function absences(view: SuiteView): string[] {
  if (racesOf(view).length === 0) return [];
  const arms = unique(view.cells.map(({ arm }) => arm));
  const ran = groupBy(view.cells, ({ backend }) => backend);
  const without = (name: string): string[] => {
    const mine = new Set(ran.get(name)?.map(({ arm }) => arm));
    const can = (arm: string): boolean => view.info.only?.[arm]?.includes(name) ?? true;
    return arms.filter((arm) => !mine.has(arm) && can(arm));
  };
  const partly = view.backends.filter(({ name, available }) => available && without(name).length > 0);
  const unasked = [...groupBy(partly, ({ name }) => JSON.stringify(without(name))).values()].map((same) => {
    const names = same.map(({ name }) => name);
    return `Not asked for ${nameSome(without(names[0]!))}: ${names.join(', ')} (to change that: --backend ${names[0]}, or the profile release).`;
  });
  const failed = gapsOf(view).map(
    ({ where, who, word, reason }) => `${where}, ${word} for ${who}: ${reason}.`,
  );
  const gone = unavailable(view.backends).map(({ backend }) => backend);
  const away = gone.length > 0 ? [`Not on this machine, for reasons below: ${gone.join(', ')}.`] : [];
  return [...unasked, ...failed, ...away].map(printable);
}

const nameSome = (arms: readonly string[]): string =>
  arms.length > MOST_NAMED
    ? `${arms.slice(0, MOST_NAMED - 1).join(', ')} and ${arms.length - MOST_NAMED + 1} more`
    : arms.join(', ');

/** The suite's races in one sentence: the backend that is best everywhere and by how much, or the best by model. */
export function backendVerdict(view: SuiteView): Phrase | null {
  const races = racesOf(view).filter(({ statements }) => statements.length > 0);
  if (races.length === 0) return null;
  const winners = unique(races.map(({ statements }) => statements[0]!.winner));
  const [winner] = winners;
  if (winners.length === 1 && winner != null) {
    const arms = unique(races.map(({ arm }) => printable(arm)));
    const amounts = races.map(({ statements }) => statements[0]!.amount ?? 'n/a');
    const next = unique(
      races.map(({ ranking }) => ranking.find(({ backend }) => backend !== winner)!.backend),
    );
    return [
      'Fastest backend for ',
      arms.length > MOST_NAMED ? `all ${arms.length} models that ran on several` : arms.join(', '),
      ': ',
      { name: winner },
      `, ${amounts.length > MOST_NAMED ? `${amounts[0]} and more` : amounts.join(', ')} ahead of ${next.length === 1 ? printable(next[0]!) : 'the next'}`,
    ];
  }
  const parts = races.slice(0, MOST_NAMED).flatMap(({ arm, statements }, i): Phrase => {
    const { winner: name, amount } = statements[0]!;
    const text = name === null ? ['not sure'] : [{ name }, ` by ${amount ?? 'n/a'}`];
    return [`${i > 0 ? '; ' : ''}${printable(arm)}: `, ...text];
  });
  const more = races.length - MOST_NAMED;
  return ['Fastest backend: ', ...parts, ...(more > 0 ? [`; and ${more} more below`] : [])];
}
