import { readSync } from 'node:fs';
import { VersusError } from '../../core/errors.ts';

const WINDOW = 64 * 1024;

/** Reads an open file forwards through a small window, so that what is skipped is never read. */
export class FileCursor {
  readonly size: number;
  pos = 0;
  readonly #fd: number;
  readonly #window = Buffer.alloc(WINDOW);
  #start = 0;
  #end = 0;

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.size = size;
  }

  /** A varint of up to 53 bits; lengths and tags need no more. */
  varint(): number {
    let value = 0;
    for (let shift = 1, i = 0; i < 10; i++, shift *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    return this.fail('a number is too long');
  }

  /** The bytes of a varint of any size, as they are. */
  rawVarint(): Uint8Array {
    const out: number[] = [];
    while (out.length < 10) {
      const byte = this.#byte();
      out.push(byte);
      if (byte < 0x80) return Uint8Array.from(out);
    }
    return this.fail('a number is too long');
  }

  /** Copies the next bytes; the caller bounds `length`. */
  take(length: number): Uint8Array {
    if (length > this.size - this.pos)
      this.fail(`${length} bytes are announced, ${this.size - this.pos} are left`);
    const out = Buffer.alloc(length);
    let done = 0;
    while (done < length) {
      const got = readSync(this.#fd, out, done, length - done, this.pos + done);
      if (got === 0) this.fail('the file ends early');
      done += got;
    }
    this.pos += length;
    return out;
  }

  skip(length: number): void {
    if (length > this.size - this.pos)
      this.fail(`${length} bytes are announced, ${this.size - this.pos} are left`);
    this.pos += length;
  }

  fail(problem: string): never {
    throw new VersusError('input', `not a readable ONNX file: ${problem}`, { where: `byte ${this.pos}` });
  }

  #byte(): number {
    if (this.pos < this.#start || this.pos >= this.#end) {
      this.#start = this.pos;
      this.#end = this.pos + readSync(this.#fd, this.#window, 0, WINDOW, this.pos);
      if (this.#end === this.#start) this.fail('the file ends early');
    }
    return this.#window[this.pos++ - this.#start]!;
  }
}
