export interface Sample {
  readonly id: string;
  /** Absolute path of the image file; absent in a dataset of texts. */
  readonly image?: string;
  /** A text that a language model may learn, in a dataset of texts. */
  readonly text?: string;
  /** Class index into `Manifest.classes`. */
  readonly label?: number;
  readonly caption?: string;
  readonly attributes?: Readonly<Record<string, string | number>>;
  /** x, y, width, height in pixels. */
  readonly box?: readonly [number, number, number, number];
  readonly questions?: readonly { readonly question: string; readonly answer: string }[];
}

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly source: string;
  readonly classes: readonly string[];
  /** Samples by split. */
  readonly splits: Readonly<Record<string, number>>;
  /** Of the concatenated files in manifest order. */
  readonly sha256: string;
}

export interface Dataset {
  readonly name: string;
  readonly manifest: Manifest;
  /** Samples in a fixed order. */
  samples(split: string): Promise<readonly Sample[]>;
}

/** A dataset as the config names it; `prepare` generates or checks its files on first use and says so through `progress`. */
export interface DatasetDef {
  readonly name: string;
  readonly description: string;
  prepare(root: string, progress?: (text: string) => void): Promise<Dataset>;
}
