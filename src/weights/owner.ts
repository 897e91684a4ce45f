import { hostname } from 'node:os';

const HOST = hostname().replace(/[^A-Za-z0-9]/g, '_') || 'host';

/** Names this process in file names that other processes, perhaps on other hosts, read: `<host>-<pid>`. */
export const OWNER = `${HOST}-${process.pid}`;

/** Whether the process that `OWNER` named still runs; null when it ran on another host, which cannot be asked. */
export function ownerLives(owner: string): boolean | null {
  const [, host, pid] = /^(.*)-(\d+)$/.exec(owner) ?? [];
  if (host !== HOST) return null;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
