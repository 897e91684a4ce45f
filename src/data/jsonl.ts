import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import * as z from 'zod';
import type { DatasetDef, Sample } from '../core/dataset.ts';
import { reasonOf, VersusError } from '../core/errors.ts';
import { openFolder } from './folder.ts';
import { datasetOf, MAX_SAMPLES, reportSkipped, type Unreadable } from './samples.ts';

export interface JsonlOptions {
  /** Class names in label order; without it, the labels' own names in code-point order. */
  readonly classes?: readonly string[];
  /** `skip` leaves samples out whose image cannot be used, and says so; `fail` (default) throws at the first. */
  readonly unreadable?: Unreadable;
  readonly licence?: string;
}

const MAX_LINE = 2 ** 20;
const text = z.string().max(65_536);
const line = z.object({
  image: z.string().min(1).max(4096),
  id: z.string().min(1).max(4096).optional(),
  split: z.string().min(1).max(200).optional(),
  label: z.union([z.string().max(1000), z.number().int().min(0).max(1e6)]).optional(),
  caption: text.optional(),
  attributes: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  box: z.tuple([z.number(), z.number(), z.number(), z.number()]).optional(),
  questions: z
    .array(z.object({ question: text, answer: text }))
    .max(1000)
    .optional(),
});
type Line = z.infer<typeof line>;

/** Lines of a file with their numbers. A line longer than 1 MiB is an error, so that a file without breaks cannot fill memory. */
async function* linesOf(file: string): AsyncGenerator<{ text: string; number: number }> {
  let rest = Buffer.alloc(0);
  let number = 0;
  const tooLong = () =>
    new VersusError('input', `a line is longer than ${MAX_LINE} bytes`, {
      where: `${file}:${number + 1}`,
      next: 'write one JSON object per line',
    });
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([rest, chunk]);
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      if (end - from > MAX_LINE) throw tooLong();
      number++;
      yield { text: bytes.toString('utf8', from, end), number };
      from = end + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > MAX_LINE) throw tooLong();
  }
  if (rest.length > 0) yield { text: rest.toString('utf8'), number: number + 1 };
}

function parseLine(raw: string, where: string): Line {
  let json: unknown;
  try {
    json = JSON.parse(raw);
  } catch (error) {
    throw new VersusError('input', `not JSON: ${reasonOf(error)}`, {
      where,
      next: 'one JSON object per line',
    });
  }
  const parsed = line.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new VersusError('input', `field ${issue.path.join('.') || '(root)'}: ${issue.message}`, {
    where,
    next: '`image` is needed; label, caption, attributes, box, questions, split and id are optional',
  });
}

/** Class index of every label, and the class names. */
function classesOf(
  labels: readonly (string | number | undefined)[],
  given: readonly string[] | undefined,
  file: string,
): { names: readonly string[]; index: (label: string | number | undefined) => number | undefined } {
  const found = new Set(labels.filter((l) => l !== undefined));
  const texts = [...found].filter((l) => typeof l === 'string').sort();
  const numbers = [...found].filter((l) => typeof l === 'number');
  const refuse = (why: string, next: string) => new VersusError('input', why, { where: file, next });
  if (texts.length > 0 && numbers.length > 0) {
    throw refuse('labels are partly names and partly numbers', 'use one kind of label');
  }
  const highest = numbers.reduce((a, b) => Math.max(a, b), -1);
  const names = given ?? (texts.length > 0 ? texts : Array.from({ length: highest + 1 }, (_, i) => `${i}`));
  const position = new Map(names.map((name, i) => [name, i]));
  const unknown = texts.find((t) => !position.has(t));
  if (unknown !== undefined || highest >= names.length) {
    throw refuse(
      `label ${JSON.stringify(unknown ?? highest)} is no class`,
      `classes are ${names.join(', ')}`,
    );
  }
  return { names, index: (label) => (typeof label === 'string' ? position.get(label) : label) };
}

/**
 * A dataset as one JSON object per line: `{"image": "a/1.jpg", "label": "cat", "caption": …, "questions": [{"question", "answer"}],
 * "attributes": {…}, "box": [x, y, width, height], "split": "test", "id": …}`. `image` is relative to the file's folder and may not
 * leave it. Samples keep the file's order; without `split` they are in `all`. Blank lines are skipped.
 *
 * `manifest.sha256` is of the JSONL file followed by the images' sizes.
 *
 * @param file absolute, or relative to the datasets folder
 * @throws VersusError (by `prepare`) `input` naming file and line.
 */
export function jsonl(name: string, file: string, options: JsonlOptions = {}): DatasetDef {
  return {
    name,
    description: `samples listed in ${file}`,
    async prepare(root, progress) {
      const full = path.resolve(root, file);
      const folder = openFolder(path.dirname(full));
      folder.file(path.basename(full));
      const hash = createHash('sha256');
      const skipped: string[] = [];
      const rows: { line: Line; id: string; image: string }[] = [];
      for await (const { text: raw, number } of linesOf(full)) {
        hash.update(`${raw}\n`);
        if (raw.trim() === '') continue;
        const where = `${full}:${number}`;
        const parsed = parseLine(raw, where);
        try {
          const found = folder.file(parsed.image);
          hash.update(`${found.bytes}\n`);
          rows.push({ line: parsed, id: parsed.id ?? parsed.image, image: found.path });
        } catch (error) {
          const reason = new VersusError('input', reasonOf(error), {
            where,
            next: 'fix the path or the file',
          });
          if (options.unreadable !== 'skip') throw reason;
          skipped.push(`line ${number}: ${reasonOf(error)}`);
        }
        if (rows.length > MAX_SAMPLES)
          throw new VersusError('input', `more than ${MAX_SAMPLES} samples`, { where });
      }
      reportSkipped(name, skipped, progress);
      if (rows.length === 0) {
        throw new VersusError('input', 'the file lists no samples', {
          where: full,
          next: 'one JSON object per line',
        });
      }
      const classes = classesOf(
        rows.map((r) => r.line.label),
        options.classes,
        full,
      );
      const splits = new Map<string, Sample[]>();
      for (const row of rows) {
        const split = row.line.split ?? 'all';
        const samples = splits.get(split) ?? [];
        splits.set(split, samples);
        samples.push(sampleOf(row, classes.index(row.line.label)));
      }
      const about = { name, version: '1', licence: options.licence ?? 'unknown', source: full };
      return datasetOf({ ...about, classes: classes.names, sha256: hash.digest('hex') }, splits);
    },
  };
}

function sampleOf(row: { line: Line; id: string; image: string }, label: number | undefined): Sample {
  const { caption, attributes, box, questions } = row.line;
  return {
    id: row.id,
    image: row.image,
    ...(label === undefined ? {} : { label }),
    ...(caption === undefined ? {} : { caption }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(box === undefined ? {} : { box }),
    ...(questions === undefined ? {} : { questions }),
  };
}
