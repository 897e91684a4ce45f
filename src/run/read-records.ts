import { createReadStream } from 'node:fs';
import { VersusError } from '../core/errors.ts';
import { type RecordLine, SCHEMA_VERSION } from '../core/record.ts';
import { faultOf, versionOf } from './record-schema.ts';

/** No line that we write comes near this; a longer one would only fill the memory. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;

/** Called once per line that is kept out, with a sentence that names file and line. */
export type OnWarning = (warning: string) => void;

interface Line {
  readonly number: number;
  /** Null when the line was longer than allowed. */
  readonly text: string | null;
  /** False for a last line without its line end: the writer was cut off. */
  readonly complete: boolean;
}

/** Splits a file into lines, holding one line at most. */
async function* linesOf(path: string, maxBytes: number): AsyncGenerator<Line[]> {
  let parts: Buffer[] = [];
  let held = 0;
  let tooLong = false;
  let number = 1;
  const take = (last: Buffer, complete: boolean): Line => {
    tooLong ||= held + last.length > maxBytes;
    const text = tooLong ? null : (held === 0 ? last : Buffer.concat([...parts, last])).toString('utf8');
    parts = [];
    held = 0;
    tooLong = false;
    return { number: number++, text, complete };
  };
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    const lines: Line[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      lines.push(take(chunk.subarray(start, end), true));
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    if (held + rest.length > maxBytes) {
      tooLong = true;
      parts = [];
      held = 0;
    } else if (!tooLong && rest.length > 0) {
      parts.push(rest);
      held += rest.length;
    }
    if (lines.length > 0) yield lines;
  }
  if (held > 0 || tooLong) yield [take(Buffer.alloc(0), false)];
}

/**
 * The records of a run in file order, read as a stream. A line that is cut off, unreadable or malformed is kept out and
 * said through `onWarning`; everything else is kept.
 * @throws VersusError `input` when the file cannot be opened or a line is of another schema version.
 */
export async function* readRecords(
  path: string,
  onWarning: OnWarning = () => {},
  options: { readonly maxLineBytes?: number } = {},
): AsyncGenerator<RecordLine> {
  try {
    for await (const lines of linesOf(path, options.maxLineBytes ?? MAX_LINE_BYTES)) {
      for (const line of lines) {
        const record = parse(path, line, onWarning);
        if (record !== null) yield record;
      }
    }
  } catch (error) {
    if (error instanceof VersusError || (error as NodeJS.ErrnoException)?.syscall === undefined) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new VersusError('input', missing ? 'there are no records' : 'the records cannot be read', {
      where: path,
      next: missing ? 'Name a run that exists: a folder under reports/runs.' : String(error),
      cause: error,
    });
  }
}

function parse(path: string, line: Line, onWarning: OnWarning): RecordLine | null {
  const leftOut = (why: string): null => {
    onWarning(`${path}:${line.number}: ${why}; this line is left out`);
    return null;
  };
  if (line.text === null) return leftOut('the line is too long to be a record');
  if (line.text.trim() === '') return null;
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch {
    return leftOut(line.complete ? 'this is not JSON' : 'the last line is cut off');
  }
  const version = versionOf(value);
  if (version !== null && version !== SCHEMA_VERSION) {
    throw new VersusError(
      'input',
      `these records are of schema version ${version}; this is version ${SCHEMA_VERSION}`,
      {
        where: `${path}:${line.number}`,
        next:
          version > SCHEMA_VERSION
            ? 'Read them with the newer versus that wrote them.'
            : 'Measure again with this versus.',
      },
    );
  }
  const fault = faultOf(value);
  return fault === null ? (value as RecordLine) : leftOut(fault);
}
