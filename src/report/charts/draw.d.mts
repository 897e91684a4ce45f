/** Colours of a surface; `surface` is null where the page's own background shows through. */
export interface Theme {
  readonly text: string;
  readonly muted: string;
  readonly grid: string;
  readonly hatch: string;
  readonly surface: string | null;
  readonly halo: string;
}

/** Gives a Chart class our looks and registers the plugin that draws labels and hatching; may be called again. */
export function prepare(Chart: unknown, theme: Theme): void;
