/**
 * A strict reader for the small part of JSON that a safetensors header consists of: objects, arrays of whole numbers, strings.
 * `JSON.parse` would hide duplicate keys and would let a hostile header of 100 MB of `[[[[…` take gigabytes; here memory
 * grows only with what the caller keeps.
 */
export class HeaderScanner {
  private at = 0;
  private readonly text: string;
  private readonly fail: (problem: string) => never;

  constructor(text: string, fail: (problem: string) => never) {
    this.text = text;
    this.fail = fail;
  }

  /** Calls `entry` at the value of each key; `entry` must consume that value. Duplicate keys are the caller's to refuse. */
  object(entry: (key: string) => void): void {
    this.expect('{');
    if (this.accept('}')) return;
    do {
      const key = this.string();
      this.expect(':');
      entry(key);
    } while (this.accept(','));
    this.expect('}');
  }

  /** An array of whole numbers from 0 to 2^53 − 1, at most `limit` of them. */
  integers(limit: number): number[] {
    const out: number[] = [];
    this.expect('[');
    if (this.accept(']')) return out;
    do {
      if (out.length === limit) this.fail(`more than ${limit} numbers in one array at character ${this.at}`);
      out.push(this.integer());
    } while (this.accept(','));
    this.expect(']');
    return out;
  }

  string(): string {
    this.skipSpace();
    const start = this.at;
    if (this.text[start] !== '"') this.fail(`expected a string at character ${start}`);
    let end = start + 1;
    for (;;) {
      const c = this.text.charCodeAt(end);
      if (Number.isNaN(c)) this.fail(`string without an end at character ${start}`);
      if (c === 0x22) break;
      end += c === 0x5c ? 2 : 1;
    }
    this.at = end + 1;
    try {
      // A literal of its own, so that a name doesn't keep the whole header text alive.
      return JSON.parse(this.text.slice(start, end + 1)) as string;
    } catch {
      return this.fail(`malformed string at character ${start}`);
    }
  }

  /** Nothing may follow but the spaces that pad the header. */
  end(): void {
    this.skipSpace();
    if (this.at !== this.text.length)
      this.fail(`unexpected text after the header's object at character ${this.at}`);
  }

  private integer(): number {
    this.skipSpace();
    const start = this.at;
    let value = 0;
    for (;;) {
      const digit = this.text.charCodeAt(this.at) - 0x30;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      if (value > Number.MAX_SAFE_INTEGER) this.fail(`number beyond 2^53 at character ${start}`);
      this.at++;
    }
    const length = this.at - start;
    if (length === 0 || (length > 1 && this.text[start] === '0')) {
      this.fail(`expected a whole number at character ${start}`);
    }
    return value;
  }

  private expect(char: string): void {
    if (!this.accept(char)) this.fail(`expected '${char}' at character ${this.at}`);
  }

  private accept(char: string): boolean {
    this.skipSpace();
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private skipSpace(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      this.at++;
    }
  }
}
