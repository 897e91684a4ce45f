/** Text of a file of the system, null where it cannot be read. */
export type ReadText = (path: string) => string | null;

/** Folders of this process's control group, from its own up to the root, within the mount of one controller. */
function folders(mount: string, path: string): string[] {
  const out: string[] = [];
  for (let p = path; ; p = p.slice(0, p.lastIndexOf('/'))) {
    out.push(`${mount}${p}`);
    if (p === '') return out;
  }
}

function pathOf(read: ReadText, controller: string): string {
  const lines = (read('/proc/self/cgroup') ?? '').split('\n').map((line) => line.split(':'));
  const line = lines.find(([, names]) => (names ?? '').split(',').includes(controller));
  const path = line?.slice(2).join(':') ?? '';
  return path === '/' ? '' : path;
}

function least(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.min(...values);
}

/**
 * CPUs that the control group may use on average, e.g. 1.5; null where there is no limit.
 * Sources: cgroup v2 `cpu.max` ("quota period"), v1 `cpu.cfs_quota_us` ÷ `cpu.cfs_period_us`.
 */
export function cpuQuota(read: ReadText): number | null {
  const limits: number[] = [];
  for (const dir of folders('/sys/fs/cgroup', pathOf(read, ''))) {
    const [quota, period] = (read(`${dir}/cpu.max`) ?? '').trim().split(' ').map(Number);
    if (quota! > 0 && period! > 0) limits.push(quota! / period!);
  }
  for (const dir of folders('/sys/fs/cgroup/cpu', pathOf(read, 'cpu'))) {
    const quota = Number(read(`${dir}/cpu.cfs_quota_us`) ?? -1);
    const period = Number(read(`${dir}/cpu.cfs_period_us`) ?? 0);
    if (quota > 0 && period > 0) limits.push(quota / period);
  }
  return least(limits);
}

/** Bytes of memory that the control group may use; null where there is no limit. */
export function memoryLimit(read: ReadText): number | null {
  const files = [
    ...folders('/sys/fs/cgroup', pathOf(read, '')).map((dir) => `${dir}/memory.max`),
    ...folders('/sys/fs/cgroup/memory', pathOf(read, 'memory')).map((dir) => `${dir}/memory.limit_in_bytes`),
  ];
  // Version 1 writes "no limit" as a number near 2^63.
  return least(files.map((file) => Number(read(file) ?? Number.NaN)).filter((n) => n > 0 && n < 2 ** 60));
}
