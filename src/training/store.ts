import { mkdir, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { VersusError } from '../core/errors.ts';
import { writeFailure } from '../weights/safetensors-writer.ts';
import { removeEmptyLog } from './run-log.ts';

const LATEST = 'latest';
const STEP = /^step-(\d{1,10})$/;
const UNFINISHED = /^\.step-\d{1,10}\.\d+\.tmp$/;
/** The newest, and the one before it: what made the loss infinite may be in the newest already. */
const KEPT = 2;

/** The checkpoints of one training: folders `step-N`, and a file `latest` that names the newest. */
export class Store {
  readonly folder: string;
  /** A checkpoint that is read as long as the training goes on: of what is frozen it has the only numbers. */
  readonly #source: string | null;

  private constructor(folder: string, source: string | null) {
    this.folder = folder;
    this.#source = source;
  }

  /**
   * A place for a new training.
   * @throws VersusError `usage` where there is something already, `infrastructure` where no folder can be made
   */
  static async create(out: string): Promise<Store> {
    const folder = resolve(out);
    const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
      if (error.code === 'ENOENT') return [];
      throw new VersusError('usage', `checkpoints cannot go here: ${error.code}`, {
        where: folder,
        next: 'name a new folder with --out',
      });
    });
    if (names.length > 0) {
      throw new VersusError('usage', 'the folder is not empty', {
        where: folder,
        next: names.includes(LATEST)
          ? 'go on with --resume, or name a new folder with --out'
          : 'name a new folder with --out',
      });
    }
    return Store.#at(folder);
  }

  /**
   * The place of a training that goes on from one of its checkpoints, which stays; what was not finished there is removed.
   * @param source that checkpoint
   */
  static async reopen(out: string, source: string): Promise<Store> {
    const store = await Store.#at(resolve(out), resolve(source));
    for (const name of await readdir(store.folder)) {
      if (UNFINISHED.test(name)) await rm(join(store.folder, name), { recursive: true, force: true });
    }
    return store;
  }

  static async #at(folder: string, source: string | null = null): Promise<Store> {
    await mkdir(folder, { recursive: true }).catch((error) => {
      throw writeFailure(folder, error);
    });
    return new Store(folder, source);
  }

  /**
   * What a training leaves that failed before it took a step is nothing: the folder goes, unless there is something else in it, so
   * another attempt finds its place. To be called once nothing writes there any more.
   * @param before steps of the training that it went on from
   */
  async abandon(before: number): Promise<void> {
    const names = await readdir(this.folder).catch((): string[] => [LATEST]);
    if (names.includes(LATEST) || !(await removeEmptyLog(this.folder, before))) return;
    // Not empty, or not ours to remove: then it stays.
    await rmdir(this.folder).catch(() => {});
  }

  /** Writes a checkpoint: others see the whole folder, or none. @returns its path */
  async save(step: number, write: (folder: string) => Promise<void>): Promise<string> {
    const path = this.#pathOf(step);
    const unfinished = join(this.folder, `.step-${step}.${process.pid}.tmp`);
    try {
      await rm(unfinished, { recursive: true, force: true });
      await mkdir(unfinished);
      await write(unfinished);
      await rm(path, { recursive: true, force: true });
      await rename(unfinished, path);
      await this.#point(step);
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      throw writeFailure(this.folder, error);
    }
    const steps = await this.#steps();
    for (const old of steps.slice(0, -KEPT).map((s) => this.#pathOf(s))) {
      if (old !== this.#source) await rm(old, { recursive: true, force: true });
    }
    return path;
  }

  /**
   * The newest checkpoint from before a step, which becomes the latest.
   * @param failed steps that were taken when the loss was found to be no number
   */
  async lastBefore(failed: number): Promise<string | null> {
    const step = (await this.#steps()).filter((s) => s < failed).at(-1);
    if (step === undefined) return null;
    await this.#point(step);
    return this.#pathOf(step);
  }

  #pathOf(step: number): string {
    return join(this.folder, `step-${step}`);
  }

  async #point(step: number): Promise<void> {
    const temporary = join(this.folder, `.${LATEST}.${process.pid}.tmp`);
    await writeFile(temporary, `step-${step}\n`, { flush: true });
    await rename(temporary, join(this.folder, LATEST));
  }

  /** In order. */
  async #steps(): Promise<number[]> {
    const numbers = (await readdir(this.folder)).flatMap((name) => STEP.exec(name)?.[1] ?? []).map(Number);
    return numbers.sort((a, b) => a - b);
  }
}

/** A checkpoint that `--resume` names, and the training that it is of. */
export interface Found {
  readonly checkpoint: string;
  readonly training: string;
  /** It is the newest of that training. */
  readonly newest: boolean;
}

/**
 * The checkpoint in a folder: of a training its latest, or the folder itself.
 * @throws VersusError `usage` when there is none
 */
export async function findCheckpoint(path: string): Promise<Found> {
  const folder = resolve(path);
  if (!(await stat(folder).catch(() => null))?.isDirectory()) {
    throw new VersusError('usage', 'there is no such folder to resume from', { where: folder });
  }
  const latest = await latestIn(folder);
  if (latest !== null) return { checkpoint: join(folder, latest), training: folder, newest: true };
  const training = dirname(folder);
  const name = basename(folder);
  if (!STEP.test(name)) return { checkpoint: folder, training: folder, newest: true };
  return { checkpoint: folder, training, newest: ((await latestIn(training)) ?? name) === name };
}

async function latestIn(folder: string): Promise<string | null> {
  const text = await readFile(join(folder, LATEST), 'utf8').catch(() => '');
  const name = text.slice(0, 100).trim();
  return STEP.test(name) ? name : null;
}
