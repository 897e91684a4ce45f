import os from 'node:os';
import { describe, expect, it } from 'vitest';
import { cpuQuota, memoryLimit } from '../../src/run/cgroup.ts';
import { fingerprint, parseGpus, readEnvironment } from '../../src/run/environment.ts';
import { timingWarnings } from '../../src/run/timing-warnings.ts';

/** A made-up /proc and /sys. */
const files = (contents: Record<string, string>) => (path: string) => contents[path] ?? null;
const calm = { cores: 4, quota: null, load: 0 };

describe('readEnvironment', () => {
  it('describes this machine', async () => {
    const environment = await readEnvironment();
    expect(environment.os).toContain(os.release());
    expect(environment.cpu).not.toBe('');
    expect(environment.cores).toBeGreaterThanOrEqual(1);
    expect(environment.cores).toBeLessThanOrEqual(os.cpus().length);
    expect(environment.memory_bytes).toBeGreaterThan(2 ** 28);
    expect(environment.memory_bytes).toBeLessThanOrEqual(os.totalmem());
    expect(`v${environment.node}`).toBe(process.version);
    expect((await readEnvironment()).fingerprint).toBe(environment.fingerprint);
    for (const warning of environment.warnings) expect(warning).toMatch(/^[A-Z0-9].*\.$/);
  });

  it('has a fingerprint that moves with what timings depend on', () => {
    const facts = { cpu: 'X', cores: 2, memory_bytes: 8 * 2 ** 30, node: '20.20.0', gpus: [] };
    const base = fingerprint(facts);
    expect(base).toMatch(/^[0-9a-f]{16}$/);
    expect(fingerprint({ ...facts, node: '20.21.3', memory_bytes: facts.memory_bytes - 1e6 })).toBe(base);
    for (const other of [
      { cpu: 'Y' },
      { cores: 4 },
      { memory_bytes: 16 * 2 ** 30 },
      { node: '22.1.0' },
      { gpus: ['NVIDIA T4, 15360 MiB, driver 550.1'] },
    ]) {
      expect(fingerprint({ ...facts, ...other })).not.toBe(base);
    }
  });

  it('reads GPUs from nvidia-smi', () => {
    const csv = 'NVIDIA A100-SXM4-40GB, 550.54.15, 40960 MiB\nTesla T4, 550.54.15, 15360 MiB\n\n';
    expect(parseGpus(csv)).toEqual([
      'NVIDIA A100-SXM4-40GB, 40960 MiB, driver 550.54.15',
      'Tesla T4, 15360 MiB, driver 550.54.15',
    ]);
    expect(parseGpus('NVIDIA-SMI has failed\n')).toEqual([]);
  });
});

describe('control groups', () => {
  it('takes the tightest limit on the way to the root (version 2)', () => {
    const read = files({
      '/proc/self/cgroup': '0::/a/b\n',
      '/sys/fs/cgroup/a/b/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/a/cpu.max': '150000 100000\n',
      '/sys/fs/cgroup/a/b/memory.max': '1073741824\n',
      '/sys/fs/cgroup/a/memory.max': 'max\n',
    });
    expect(cpuQuota(read)).toBe(1.5);
    expect(memoryLimit(read)).toBe(2 ** 30);
  });

  it('knows version 1, and a container that sees its own group as the root', () => {
    const read = files({
      '/proc/self/cgroup': '4:memory:/x\n3:cpu,cpuacct:/\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/x/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '536870912\n',
    });
    expect(cpuQuota(read)).toBe(2);
    expect(memoryLimit(read)).toBe(2 ** 29);
    const unlimited = files({
      '/proc/self/cgroup': '3:cpu:/\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
    });
    expect(cpuQuota(unlimited)).toBeNull();
    expect([cpuQuota(files({})), memoryLimit(files({}))]).toEqual([null, null]);
  });
});

describe('timingWarnings', () => {
  it('has nothing to say of a quiet machine of its own', () => {
    const quiet = files({
      '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor': 'performance\n',
      '/sys/class/power_supply/AC/online': '1\n',
      '/sys/class/power_supply/BAT0/status': 'Full\n',
      '/proc/cpuinfo': 'flags\t\t: fpu vme sse\n',
      '/proc/meminfo': 'SwapTotal:       1000000 kB\nSwapFree:         999000 kB\n',
      '/proc/1/cgroup': '0::/init.scope\n',
    });
    expect(timingWarnings(quiet, calm)).toEqual([]);
    expect(timingWarnings(files({}), { ...calm, load: null })).toEqual([]);
  });

  it.each([
    ['load', {}, { load: 3.14 }, /load average 3\.1 on 4 cores/],
    [
      'governor',
      { '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor': 'powersave\n' },
      {},
      /'powersave'/,
    ],
    ['unplugged', { '/sys/class/power_supply/AC/online': '0\n' }, {}, /battery/],
    ['discharging', { '/sys/class/power_supply/BAT1/status': 'Discharging\n' }, {}, /battery/],
    ['virtual machine', { '/proc/cpuinfo': 'flags\t: fpu hypervisor lahf\n' }, {}, /virtual machine/],
    ['container', { '/.dockerenv': '' }, {}, /container/],
    ['pod', { '/proc/1/cgroup': '0::/kubepods/x\n' }, {}, /container/],
    ['quota', {}, { quota: 1.5 }, /limits the CPU to 1\.5 cores/],
    ['swap', { '/proc/meminfo': 'SwapTotal: 1000000 kB\nSwapFree: 500000 kB\n' }, {}, /512 MB of swap/],
  ])('%s', (_, contents, situation, expected) => {
    const warnings = timingWarnings(files(contents as Record<string, string>), { ...calm, ...situation });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(expected);
  });
});
