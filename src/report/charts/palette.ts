import { place, type SuiteView } from '../view.ts';

/** Okabe and Ito, Color Universal Design (2008), without black and yellow, which one of our two backgrounds would swallow. */
const OKABE_ITO = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#56b4e9'] as const;

/** For what is not ranked. */
export const GREY = '#aeb6bf';
/** For the quieter part of a stack. */
export const QUIET = '#c3cad2';

/** Colours by position; after six they begin again, charts show fewer. */
export const colour = (index: number): string => OKABE_ITO[index % OKABE_ITO.length]!;

/** The groups of a suite's arms, in the order of its cells, so that a group has one colour in every chart. */
export const groupColours = (view: SuiteView): Map<string, string> =>
  colours([...view.cells, ...view.rows].flatMap(({ group }) => (group === null ? [] : [group])));

/** The same for backends, by name, and for backends in another precision; backends have one colour in every suite of a run. */
export const placeColours = (view: SuiteView): Map<string, string> =>
  colours([
    ...view.backends.flatMap(({ name, available }) => (available ? [name] : [])),
    ...view.cells.map(({ backend }) => backend),
    ...[...view.cells, ...view.rows].map(place),
  ]);

/** Names in the order of their first use get colours in the palette's order. */
function colours(names: Iterable<string>): Map<string, string> {
  const map = new Map<string, string>();
  for (const name of names) if (!map.has(name)) map.set(name, colour(map.size));
  return map;
}

/** With an alpha value from 0 to 1. */
export const faded = (hex: string, alpha: number): string =>
  hex +
  Math.round(alpha * 255)
    .toString(16)
    .padStart(2, '0');
