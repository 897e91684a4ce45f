import type { ReadText } from './cgroup.ts';

/** Swap in use below this is what an idle system pages out anyway. */
const SWAP_BYTES = 64 << 20;
const POWER = '/sys/class/power_supply';
const SUPPLIES = ['AC', 'ACAD', 'ADP0', 'ADP1', 'AC0', 'BAT0', 'BAT1'];

export interface Situation {
  readonly cores: number;
  /** CPUs of the control group's quota, null without one. */
  readonly quota: number | null;
  /** Load average of the last minute, null where unknown. */
  readonly load: number | null;
}

/** What makes timings on this machine unsure, one plain sentence each. */
export function timingWarnings(read: ReadText, { cores, quota, load }: Situation): string[] {
  const warnings: string[] = [];
  if (load !== null && load > Math.max(0.5, cores / 4)) {
    warnings.push(
      `Other work was running at the start (load average ${load.toFixed(1)} on ${cores} cores): timings may be too slow.`,
    );
  }
  const governor = read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor')?.trim();
  if (governor && governor !== 'performance') {
    warnings.push(`The CPU frequency governor is '${governor}', not 'performance': the clock may vary.`);
  }
  if (onBattery(read)) warnings.push('The machine runs on battery: the clock may be limited.');
  if (/^flags\s*:.*\bhypervisor\b/m.test(read('/proc/cpuinfo') ?? '')) {
    warnings.push('This is a virtual machine: its neighbours may take time from it.');
  }
  if (inContainer(read)) warnings.push('This is a container: other containers may share its cores.');
  if (quota !== null) {
    warnings.push(`A control group limits the CPU to ${quota} cores: throttling makes timings uneven.`);
  }
  const swapped = swapUsed(read);
  if (swapped > SWAP_BYTES) {
    warnings.push(`${(swapped / 1e6).toFixed(0)} MB of swap are in use: paging may slow a case down.`);
  }
  return warnings;
}

function onBattery(read: ReadText): boolean {
  const supplies = SUPPLIES.map((name) => ({
    online: read(`${POWER}/${name}/online`)?.trim(),
    status: read(`${POWER}/${name}/status`)?.trim(),
  }));
  if (supplies.some((s) => s.online === '1')) return false;
  return supplies.some((s) => s.online === '0' || s.status === 'Discharging');
}

function inContainer(read: ReadText): boolean {
  if (read('/.dockerenv') !== null || read('/run/.containerenv') !== null) return true;
  return /docker|kubepods|containerd|lxc/.test(read('/proc/1/cgroup') ?? '');
}

function swapUsed(read: ReadText): number {
  const meminfo = read('/proc/meminfo') ?? '';
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0);
  return (kib('SwapTotal') - kib('SwapFree')) * 1024;
}
