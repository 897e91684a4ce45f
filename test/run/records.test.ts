import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RecordLine } from '../../src/core/record.ts';
import { readRecords } from '../../src/run/read-records.ts';
import { RecordWriter } from '../../src/run/records.ts';
import { caseRecord, runRecord } from './sketch.ts';

let dir: string;
let file: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'versus-records-'));
  file = path.join(dir, 'records.jsonl');
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

async function read(options = {}): Promise<{ lines: RecordLine[]; warnings: string[] }> {
  const lines: RecordLine[] = [];
  const warnings: string[] = [];
  for await (const line of readRecords(file, (w) => warnings.push(w), options)) lines.push(line);
  return { lines, warnings };
}
function write(...lines: RecordLine[]): void {
  const writer = RecordWriter.create(file);
  for (const line of lines) writer.append(line);
  writer.close();
}

describe('records', () => {
  it('come back as they were written', async () => {
    const gone = {
      name: 'gpu',
      available: false,
      version: null,
      device: null,
      reason: 'no adapter',
      fix: null,
    };
    const run = runRecord({ backends: [gone] });
    const lines = [run, caseRecord(), caseRecord({ round: 1, status: 'crashed', reason: 'SIGSEGV' })];
    write(...lines);
    expect(await read()).toEqual({ lines, warnings: [] });
  });

  it('never overwrite a run that is there', () => {
    write(runRecord());
    expect(() => RecordWriter.create(file)).toThrow(/EEXIST/);
  });

  it('lose only the last line when it is cut off at any byte, and say so', async () => {
    write(runRecord(), caseRecord());
    const whole = fs.readFileSync(file);
    const firstEnd = whole.indexOf(0x0a) + 1;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: firstEnd + 1, max: whole.length - 2 }), async (cut) => {
        fs.writeFileSync(file, whole.subarray(0, cut));
        const { lines, warnings } = await read();
        expect(lines).toEqual([runRecord()]);
        expect(warnings).toEqual([`${file}:2: the last line is cut off; this line is left out`]);
      }),
      { numRuns: 40 },
    );
  });

  it('leave out what is not a record, with its line number, and keep the rest', async () => {
    write(runRecord(), caseRecord());
    fs.appendFileSync(file, 'garbage\n{"type":"case","schema_version":1}\n\n[]\n');
    fs.appendFileSync(
      file,
      `${JSON.stringify({ ...caseRecord(), samples: [{ phase: 'x', ms: [1], items: [], rep: [0] }] })}\n`,
    );
    fs.appendFileSync(file, `${JSON.stringify(caseRecord({ round: 7 }))}\n`);
    const { lines, warnings } = await read();
    expect(lines).toEqual([runRecord(), caseRecord(), caseRecord({ round: 7 })]);
    expect(warnings.map((w) => w.slice(file.length))).toEqual([
      ':3: this is not JSON; this line is left out',
      ':4: run_id: expected a string; this line is left out',
      ':6: type: expected one of run, case, peak, end; this line is left out',
      ':7: samples[0]: ms, items and rep differ in length; this line is left out',
    ]);
  });

  it('of a newer schema are refused with the way out', async () => {
    write(runRecord());
    fs.appendFileSync(file, `${JSON.stringify({ ...caseRecord(), schema_version: 2 })}\n`);
    await expect(read()).rejects.toMatchObject({ kind: 'input', where: `${file}:2`, next: /newer versus/ });
  });

  it('hold no more than one bounded line in memory', async () => {
    write(runRecord(), caseRecord({ reason: 'x'.repeat(3_000_000) }), caseRecord());
    const { lines, warnings } = await read({ maxLineBytes: 1_000_000 });
    expect(lines).toEqual([runRecord(), caseRecord()]);
    expect(warnings).toEqual([`${file}:2: the line is too long to be a record; this line is left out`]);
  });

  it('that are not there are a clear error', async () => {
    await expect(read()).rejects.toMatchObject({
      kind: 'input',
      message: 'there are no records',
      where: file,
    });
  });

  it('survive any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
        fs.writeFileSync(file, Buffer.concat([Buffer.from(`${JSON.stringify(runRecord())}\n`), bytes]));
        const { lines } = await read();
        expect(lines).toEqual([runRecord()]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a full disk', () => {
  const full = (room: number) => ({
    write: (fd: number, bytes: Uint8Array) => {
      const part = bytes.subarray(0, room);
      fs.writeSync(fd, part);
      room -= part.length;
      if (part.length < bytes.length && room === 0) return part.length;
      return part.length;
    },
    sync: () => {},
  });

  it('stops the run with whole lines on the disk', async () => {
    const size = Buffer.byteLength(JSON.stringify(runRecord())) + 1;
    const writer = RecordWriter.create(file, full(size + 100));
    writer.append(runRecord());
    expect(() => writer.append(caseRecord())).toThrow(
      expect.objectContaining({
        kind: 'infrastructure',
        where: file,
        next: expect.stringContaining('--resume'),
      }),
    );
    writer.close();
    expect(await read()).toEqual({ lines: [runRecord()], warnings: [] });
  });

  it('is told by the system too', () => {
    if (!fs.existsSync('/dev/full')) return;
    const writer = RecordWriter.resume('/dev/full');
    expect(() => writer.append(runRecord())).toThrow(/ENOSPC/);
    writer.close();
  });
});

describe('going on with a run', () => {
  it('removes a line that was cut off and appends behind the whole ones', async () => {
    write(runRecord(), caseRecord());
    fs.appendFileSync(file, '{"type":"case","schema_ver');
    const writer = RecordWriter.resume(file);
    writer.append(caseRecord({ round: 1 }));
    writer.close();
    expect(await read()).toEqual({
      lines: [runRecord(), caseRecord(), caseRecord({ round: 1 })],
      warnings: [],
    });
  });
});
