import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFailure } from '../weights/safetensors-writer.ts';
import type { Row } from './checkpoint.ts';

const [LOSSES, EVENTS] = ['losses.csv', 'log.jsonl'];
const HEADER = 'step,loss,learning_rate,gradient_norm\n';

/** What a training tells of itself on disk, line by line: `losses.csv`, and `log.jsonl` with everything else. */
export class RunLog {
  readonly #losses: string;
  readonly #log: string;

  private constructor(folder: string) {
    this.#losses = join(folder, LOSSES);
    this.#log = join(folder, EVENTS);
  }

  /** @param history of steps before, by a training that goes on: losses.csv begins with them, log.jsonl stays as it is */
  static async open(folder: string, history: readonly Row[]): Promise<RunLog> {
    const log = new RunLog(folder);
    const before = history.map((row, i) => lineOf(i + 1, row)).join('');
    await writeFile(log.#losses, HEADER + before).catch((error) => {
      throw writeFailure(log.#losses, error);
    });
    return log;
  }

  async loss(step: number, row: Row): Promise<void> {
    await this.#append(this.#losses, lineOf(step, row));
  }

  /** A line of `log.jsonl`. */
  async event(type: string, facts: Readonly<Record<string, unknown>>): Promise<void> {
    const time = new Date().toISOString();
    await this.#append(this.#log, `${JSON.stringify({ type, time, ...facts })}\n`);
  }

  async #append(path: string, text: string): Promise<void> {
    await appendFile(path, text).catch((error) => {
      throw writeFailure(path, error);
    });
  }
}

/**
 * Removes what a training that took no step has told of itself.
 * @param before steps of the training that it went on from
 * @returns whether it took none
 */
export async function removeEmptyLog(folder: string, before: number): Promise<boolean> {
  const losses = await readFile(join(folder, LOSSES), 'utf8').catch(() => HEADER);
  if (losses.trimEnd().split('\n').length > 1 + before) return false;
  for (const file of [LOSSES, EVENTS]) await rm(join(folder, file), { force: true });
  return true;
}

/** Numbers as they are, so that equal trainings give equal bytes; empty where a norm is not computed. */
function lineOf(step: number, [loss, rate, norm]: Row): string {
  return `${step},${loss},${rate},${Number.isNaN(norm) ? '' : norm}\n`;
}
