import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { VersusError } from '../core/errors.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors.ts';

/** A file that is still changed after so many looks is being written. */
const LOOKS = 20;

/**
 * Opens a checkpoint of which every later change will show: one that was written within the last tick of the file system's
 * clock (20 ms on most) is opened again when the tick is over.
 * @throws VersusError as `openSafetensors`; `input` for a checkpoint that is being written all the while
 */
export async function openSettled(path: string): Promise<SafetensorsFile> {
  for (let look = 0; look < LOOKS; look++) {
    const file = await openSafetensors(path);
    const wait = Math.max(...file.states.map((state) => state.unsettledMs));
    if (wait === 0) return file;
    await file.close();
    await sleep(wait);
  }
  throw new VersusError('input', 'the checkpoint is being written', {
    where: path,
    next: 'run again when it is complete',
  });
}

/**
 * The identity of a model's numbers on this machine, without reading them: which files these are and when they were changed
 * last, and which bytes of them, read as which type, are which parameter.
 * @param names tensor by parameter, as `matchNames` finds them
 */
export function identityOf(file: SafetensorsFile, names: ReadonlyMap<string, string>): string {
  const hash = createHash('sha256');
  for (const { text } of file.states) hash.update(`${text}\n`);
  const numbers = new Map(file.files.map((path, i) => [path, i]));
  for (const param of [...names.keys()].sort()) {
    const { file: path, offset, bytes, dtype } = file.info(names.get(param)!)!;
    hash.update(`${JSON.stringify([param, numbers.get(path), offset, bytes, dtype])}\n`);
  }
  return `files:${hash.digest('hex')}`;
}
