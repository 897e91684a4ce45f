import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelDef } from '../../src/core/model.ts';
import { byteTokenizer } from '../../src/data/tokenizer.ts';
import { readCheckpoint } from '../../src/training/checkpoint.ts';
import type { Example } from '../../src/training/examples.ts';
import { requireSame } from '../../src/training/resume.ts';
import { type RunOptions, type TrainingData, type TrainingOutcome, train } from '../../src/training/run.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';
import { type Setup, setUp } from '../../src/training/setup.ts';
import { findCheckpoint, Store } from '../../src/training/store.ts';
import { oneThread } from '../one-thread.ts';
import { flats } from '../plugin/dataset.ts';

const COLOURS = ['red', 'green', 'blue', 'grey', 'black', 'white'];
const TEXTS: readonly Example[] = COLOURS.map((colour) => ({ text: `The sky is ${colour}.` }));

export const settings = (more: Partial<TrainingSettings> = {}): TrainingSettings => ({
  ...{
    scope: 'full',
    lora: null,
    qlora: false,
    precision: 'fp32',
    clipNorm: 1,
    batch: 4,
    microBatches: 1,
    sizes: {},
    seed: 3,
  },
  optimiser: { kind: 'adamw', betas: [0.9, 0.999], weightDecay: 0.01 },
  schedule: { kind: 'cosine', rate: 1e-3, warmup: 1, steps: 6 },
  ...more,
});
export const ofTexts = { sizes: { sequence: 20 }, batch: 2 };
export const sgd = { kind: 'sgd', momentum: 0.9, weightDecay: 0 } as const;

export interface Case {
  readonly def: ModelDef;
  readonly settings: TrainingSettings;
}

/** A folder with small trainings in it: classifiers of eight images, language models of six texts. */
export class Trainings {
  readonly dir: string;
  readonly #images: readonly Example[];

  private constructor(dir: string, images: readonly Example[]) {
    this.dir = dir;
    this.#images = images;
  }

  static async open(): Promise<Trainings> {
    const dir = await mkdtemp(join(tmpdir(), 'versus-training-'));
    const samples = await (await flats.prepare(dir)).samples('test');
    return new Trainings(
      dir,
      samples.map((sample) => ({ sample, label: sample.label! })),
    );
  }

  remove(): Promise<void> {
    return rm(this.dir, { recursive: true, force: true });
  }

  at(name: string): string {
    return join(this.dir, name);
  }

  /** Trains into a folder; from a checkpoint on where one is named. */
  async run(
    one: Case,
    out: string,
    { resume, setup, ...more }: Partial<RunOptions> & { resume?: string; setup?: Setup } = {},
  ): Promise<TrainingOutcome> {
    const made = setup ?? (await setUp(one.def, one.settings, 4));
    const data = this.#dataOf(one);
    const found = resume === undefined ? undefined : await findCheckpoint(resume);
    const saved = found && (await readCheckpoint(found.checkpoint));
    if (saved) requireSame(saved, made, data.about);
    const goesOn = found && found.training === out;
    const store = goesOn ? await Store.reopen(out, found.checkpoint) : await Store.create(out);
    const place = { cacheDir: join(this.dir, 'cache'), maxBytes: 1e9, store };
    const backend = oneThread();
    const options = { backend, open: { precision: 'fp32', threads: 1 } as const, ...place };
    return train(made, data, { ...options, evalEvery: 3, evalSamples: 4, saveEvery: 3, ...more }, saved);
  }

  #dataOf({ def }: Case): TrainingData {
    const reads = def.task === 'generate';
    const training = reads ? TEXTS : this.#images;
    const about = { name: reads ? 'texts' : 'flats', sha256: 'x', examples: training.length, heldOut: 4 };
    const heldOut = training.slice(0, 4);
    return { about, training, heldOut, reading: reads ? { tokenizer: byteTokenizer(512) } : {} };
  }
}
