import fs from 'node:fs';

/**
 * A counter that grows when the kernel kills a process for memory, on this machine or in this control group; null where
 * neither can be read. Sources: /proc/vmstat `oom_kill`, cgroup v2 `memory.events`.
 */
export function oomKillCounter(): number | null {
  const counts = ['/proc/vmstat', cgroupEvents()]
    .filter((path) => path !== null)
    .map(counterIn)
    .filter((count) => count !== null);
  return counts.length === 0 ? null : counts.reduce((a, b) => a + b);
}

function counterIn(path: string): number | null {
  const match = /^oom_kill (\d+)$/m.exec(read(path));
  return match ? Number(match[1]) : null;
}

function cgroupEvents(): string | null {
  const match = /^0::(\/.*)$/m.exec(read('/proc/self/cgroup'));
  return match ? `/sys/fs/cgroup${match[1]}/memory.events` : null;
}

function read(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
