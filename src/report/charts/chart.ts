/** A number to draw, with what is written at it and what the pointer shows over it (`tip`, the first line is its title). */
export interface Datum {
  readonly x: number | null;
  readonly y: number | string | null;
  readonly xMin?: number;
  readonly xMax?: number;
  readonly yMin?: number;
  readonly yMax?: number;
  readonly label?: string;
  readonly inside?: string;
  readonly hatched?: boolean;
  /** Colour of the hatching, where it is not the theme's. */
  readonly hatch?: string;
  readonly muted?: boolean;
  readonly tip?: readonly string[];
}

export interface Series {
  readonly label: string;
  readonly data: readonly Datum[];
  readonly backgroundColor: string | readonly string[];
  readonly [option: string]: unknown;
}

/** A Chart.js configuration without functions, so that it can be embedded in a page as JSON. */
export interface ChartConfig {
  readonly type: string;
  readonly data: { readonly labels?: readonly string[]; readonly datasets: readonly Series[] };
  readonly options: Readonly<Record<string, unknown>>;
}

export interface Chart {
  /** File name without ending; unique in a report. */
  readonly file: string;
  readonly suite: string;
  readonly title: string;
  /** Conditions, then what is not shown and why. */
  readonly subtitle: readonly string[];
  readonly height: Height;
  /** Lower is more important: what stays when a report has too many charts. */
  readonly rank: number;
  readonly config: ChartConfig;
}

/** A chart before the report gives it a file name. */
export type Draft = Omit<Chart, 'file' | 'suite'> & { readonly name: string };

/** CSS pixels; PNG has twice as many. */
export const WIDTH = 960;
/** Few heights, because the PNG renderer is set up once per size. */
export const HEIGHTS = [300, 400, 560, 820] as const;
export type Height = (typeof HEIGHTS)[number];

/** The smallest height with room for `bars` bars under `lines` lines of subtitle. */
export function heightFor(bars: number, lines: number): Height {
  const wanted = 150 + bars * 26 + lines * 18;
  return HEIGHTS.find((height) => height >= wanted) ?? HEIGHTS[HEIGHTS.length - 1]!;
}

export function options(
  title: string,
  subtitle: readonly string[],
  rest: Readonly<Record<string, unknown>> & { readonly legend?: boolean },
): Record<string, unknown> {
  const { legend = true, ...more } = rest;
  return {
    responsive: false,
    maintainAspectRatio: false,
    devicePixelRatio: 2,
    layout: { padding: { left: 16, right: 24, top: 16, bottom: 12 } },
    plugins: {
      title: { display: true, text: title },
      subtitle: { display: subtitle.length > 0, text: subtitle },
      legend: { display: legend },
    },
    ...more,
  };
}

/** Padding that leaves room for what is written at the ends of bars. */
export const labelRoom = (right = 110): Record<string, unknown> => ({
  padding: { left: 16, right, top: 16, bottom: 12 },
});

/** A number axis with its title; three significant digits on its ticks. */
export function numberAxis(
  title: string,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    title: { display: true, text: title },
    ticks: { format: { maximumSignificantDigits: 3 }, maxTicksLimit: 9, includeBounds: false },
    border: { display: false },
    ...more,
  };
}

/** The axis that names the bars. */
export const nameAxis = (more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  type: 'category',
  grid: { display: false },
  ticks: { autoSkip: false },
  ...more,
});
