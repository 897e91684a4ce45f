import { stripVTControlCharacters } from 'node:util';

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

/** The message of anything that was thrown, on one line that reports, terminals and XML can hold. */
export function reasonOf(error: unknown): string {
  return oneLine(messageOf(error)) || 'unknown error';
}

function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error);
  } catch {
    // An object without a prototype, or whose own toString throws.
    return 'something was thrown that has no message';
  }
}

const MOST_CHARACTERS = 4000;

/** Text from outside on one line: no terminal codes, control characters or half surrogates, and of bounded length. */
export function oneLine(text: string): string {
  // Ahead of everything else, so that a message of megabytes costs little.
  const bounded = text.length > 4 * MOST_CHARACTERS ? text.slice(0, 4 * MOST_CHARACTERS) : text;
  const line = stripVTControlCharacters(bounded)
    .replace(/[\p{Cs}\ufffe\uffff]/gu, '\ufffd')
    .replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  return line.length > MOST_CHARACTERS ? `${line.slice(0, MOST_CHARACTERS).trimEnd()} …` : line;
}
