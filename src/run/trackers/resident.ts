import { execFile } from 'node:child_process';
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';

/** Bytes that are resident now, and the most that ever were (since a reset), where the system keeps that mark. */
export interface ResidentSize {
  readonly rss: number;
  readonly mark: number | null;
}

/** A way to ask for the resident memory of one process. */
export interface Resident {
  /** Null when the process is gone. */
  read(): ResidentSize | null | Promise<ResidentSize | null>;
  /** Starts the high-water mark anew; false where that is not possible. */
  resetMark(): boolean;
  close(): void;
}

/**
 * Linux: `VmRSS` and `VmHWM` of /proc/PID/status (proc(5)), null on other systems or when the process is gone already. The
 * file stays open, so that the answers are of this process even if its id is given to another.
 */
export function openProcStatus(pid: number): Resident | null {
  let fd: number;
  try {
    fd = openSync(`/proc/${pid}/status`, 'r');
  } catch {
    return null;
  }
  const buffer = Buffer.alloc(8192);
  return {
    read: () => {
      try {
        const text = buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
        const rss = kibibytes(text, 'VmRSS');
        return rss === null ? null : { rss, mark: kibibytes(text, 'VmHWM') };
      } catch {
        return null;
      }
    },
    resetMark: () => {
      try {
        writeFileSync(`/proc/${pid}/clear_refs`, '5');
        return true;
      } catch {
        return false;
      }
    },
    close: () => closeSync(fd),
  };
}

/** A zombie has no such line. */
function kibibytes(status: string, field: string): number | null {
  const at = status.indexOf(`${field}:`);
  const value = at < 0 ? Number.NaN : Number.parseInt(status.slice(at + field.length + 1), 10);
  return Number.isNaN(value) ? null : value * 1024;
}

/** Everywhere else: `ps -o rss=`, in KiB (POSIX leaves the unit open; BSD, macOS and procps agree). */
export function readByPs(pid: number): Resident {
  return {
    read: () =>
      new Promise((resolve) => {
        execFile('ps', ['-o', 'rss=', '-p', `${pid}`], { timeout: 2000 }, (error, stdout) => {
          const kib = Number.parseInt(stdout, 10);
          resolve(error || Number.isNaN(kib) ? null : { rss: kib * 1024, mark: null });
        });
      }),
    resetMark: () => false,
    close: () => {},
  };
}
