/**
 * Arms that are one contender at several sizes: a report draws each line over its sizes, on logarithmic axes, and fits how
 * its costs grow, as cost ∝ (size ^ dimensions) ^ exponent.
 */
export interface Growth {
  /** What a size is: `image edge`. */
  readonly size: string;
  /** Its unit: `px`. */
  readonly unit: string;
  /** What the exponent is of: `pixels`, for sizes that are edges of squares. */
  readonly of: string;
  /** The power of a size that this is: 2 for pixels by edge, 1 where it is the size itself. */
  readonly dimensions: number;
  readonly lines: readonly GrowthLine[];
}

export interface GrowthLine {
  readonly name: string;
  /** Arms of the suite by size. A line of fewer than three sizes has no exponent. */
  readonly points: readonly { readonly arm: string; readonly size: number }[];
  /** What a reader has to know of these sizes: `padded at 192 px`. */
  readonly note?: string;
}
