import { readFile, stat } from 'node:fs/promises';
import { reasonOf, VersusError } from '../core/errors.ts';

/** A config.json is some kilobytes; one of 20,000 labels a megabyte. */
const MAX_BYTES = 16 << 20;

/**
 * A JSON object from a file of bounded size.
 * @returns null where the file is missing and may be
 * @throws VersusError `input` when it is missing, too large or no JSON object
 */
export async function readJson(
  path: string,
  { optional = false }: { readonly optional?: boolean } = {},
): Promise<Readonly<Record<string, unknown>> | null> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) throw new Error(`${size} bytes are more than ${MAX_BYTES}`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (optional && (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw damaged(path, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(path, error);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw damaged(path, new Error('it holds no JSON object'));
}

function damaged(path: string, error: unknown): VersusError {
  return new VersusError('input', `cannot be read: ${reasonOf(error)}`, {
    where: path,
    next: 'compare the file with the one published beside the checkpoint',
    cause: error,
  });
}
