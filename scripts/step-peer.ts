import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** What a step took: seconds of wall and processor time, peak memory of the process so far in bytes. */
export interface Taken {
  readonly seconds: number;
  readonly cpu: number;
  readonly loss: number;
  readonly peak: number;
}

/** A process that takes one step per line it is sent, and answers with what it knows of it as JSON. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  static async start(command: string, args: readonly string[]): Promise<Peer> {
    const peer = new Peer(spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
    await peer.#next();
    return peer;
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  async step(): Promise<Taken> {
    const before = this.#processor();
    this.#child.stdin!.write('\n');
    const { seconds, loss, peak_rss: peak } = JSON.parse(await this.#next());
    return { seconds, loss, peak, cpu: this.#processor() - before };
  }

  /** Ends it. @returns what it says last */
  async stop(): Promise<string[]> {
    this.#child.stdin!.end();
    const last: string[] = [];
    for (let line = await this.#lines.next(); !line.done; line = await this.#lines.next())
      last.push(line.value);
    return last;
  }

  async #next(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.#child.spawnargs.join(' ')} has ended`);
    return value;
  }

  /** Seconds of processor time so far, of all threads: fields 14 and 15 of proc(5)'s stat, in hundredths. */
  #processor(): number {
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }
}
