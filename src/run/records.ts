import fs from 'node:fs';
import { reasonOf, VersusError } from '../core/errors.ts';
import type { RecordLine } from '../core/record.ts';

/** The calls that may find the disk full. */
export interface RecordDisk {
  write(fd: number, bytes: Uint8Array): number;
  sync(fd: number): void;
}
const DISK: RecordDisk = {
  write: (fd, bytes) => fs.writeSync(fd, bytes),
  sync: (fd) => fs.fsyncSync(fd),
};

/** Appends lines to records.jsonl: one write per line, on the disk before the next case starts. */
export class RecordWriter {
  readonly path: string;
  readonly #fd: number;
  readonly #disk: RecordDisk;
  /** End of the last whole line. */
  #end: number;

  private constructor(path: string, fd: number, end: number, disk: RecordDisk) {
    this.path = path;
    this.#fd = fd;
    this.#end = end;
    this.#disk = disk;
  }

  /** Starts a file; it must not exist. */
  static create(path: string, disk: RecordDisk = DISK): RecordWriter {
    return new RecordWriter(path, fs.openSync(path, 'ax'), 0, disk);
  }

  /** Goes on with a file; a last line that was cut off is removed first. */
  static resume(path: string, disk: RecordDisk = DISK): RecordWriter {
    const end = endOfLastLine(path);
    if (fs.statSync(path).size !== end) fs.truncateSync(path, end);
    return new RecordWriter(path, fs.openSync(path, 'a'), end, disk);
  }

  /**
   * @throws VersusError `infrastructure` when the line could not be written whole. The file then ends with the line before.
   */
  append(line: RecordLine): void {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`, 'utf8');
    try {
      const written = this.#disk.write(this.#fd, bytes);
      if (written !== bytes.length) {
        throw new Error(`only ${written} of ${bytes.length} bytes were written: the disk is full`);
      }
      this.#disk.sync(this.#fd);
    } catch (error) {
      this.#cutBack();
      throw new VersusError('infrastructure', `the records cannot be written: ${reasonOf(error)}`, {
        where: this.path,
        next: 'Make room on that disk, then go on with --resume. What was measured before is kept.',
        cause: error,
      });
    }
    this.#end += bytes.length;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  #cutBack(): void {
    try {
      fs.ftruncateSync(this.#fd, this.#end);
    } catch {
      // The reader leaves a half line out, so nothing is lost when even this fails.
    }
  }
}

/** Offset just behind the last line end; 0 when there is none. */
function endOfLastLine(path: string): number {
  const fd = fs.openSync(path, 'r');
  try {
    const block = Buffer.alloc(64 * 1024);
    let position = fs.fstatSync(fd).size;
    while (position > 0) {
      const length = Math.min(block.length, position);
      position -= length;
      const got = fs.readSync(fd, block, 0, length, position);
      const at = block.subarray(0, got).lastIndexOf(0x0a);
      if (at >= 0) return position + at + 1;
    }
    return 0;
  } finally {
    fs.closeSync(fd);
  }
}
