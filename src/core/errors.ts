/**
 * Why something failed, as far as the person at the terminal is concerned. It decides the exit code:
 * `usage` (the command line, the config or a file the user named) → 2, everything else → 3.
 */
export type ErrorKind = 'usage' | 'input' | 'unsupported' | 'infrastructure';

export interface ErrorDetail {
  /** File, line, field, node or tensor that is meant. */
  where?: string;
  /** What to do next, as a sentence or a command. */
  next?: string;
  cause?: unknown;
}

/** An error that a user can act on: what is wrong, where, and what to do next. Printed without a stack. */
export class VersusError extends Error {
  readonly kind: ErrorKind;
  readonly where: string | undefined;
  readonly next: string | undefined;

  constructor(kind: ErrorKind, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'VersusError';
    this.kind = kind;
    this.where = detail.where;
    this.next = detail.next;
  }

  /** The message, the place and the next step on lines of their own. */
  describe(): string {
    const lines = [this.message];
    if (this.where) lines.push(`  at: ${this.where}`);
    if (this.next) lines.push(`  next: ${this.next}`);
    return lines.join('\n');
  }
}

/** The message of anything that was thrown, on one line. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').trim() || 'unknown error';
}
