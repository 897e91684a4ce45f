import type { MemorySample } from '../../core/record.ts';
import { trackGpuMemory } from './gpu-memory.ts';
import { openProcStatus, type Resident, readByPs } from './resident.ts';

export interface MemoryTracker {
  /** Call when the process is ready and has opened nothing: what it holds now is not the model's. */
  markBaseline(): void;
  /** Ends the watch. What was seen stays known, also of a process that is gone. */
  stop(): Promise<MemorySample>;
}

export interface TrackOptions {
  /** 10 unless said otherwise; at least 100 where only `ps` can tell. */
  readonly intervalMs?: number;
}

const PS_INTERVAL_MS = 100;

/**
 * Watches the resident memory of a process from outside, where a session that blocks the process's event loop can't hide it,
 * and its GPU memory. On Linux the kernel's own high-water mark (VmHWM, reset at the baseline) catches what falls between
 * two looks. Unknown is null.
 */
export function trackMemory(pid: number, { intervalMs = 10 }: TrackOptions = {}): MemoryTracker {
  const proc = openProcStatus(pid);
  return proc
    ? new Watch(pid, 'proc', intervalMs, proc)
    : new Watch(pid, 'ps', Math.max(intervalMs, PS_INTERVAL_MS), readByPs(pid));
}

class Watch implements MemoryTracker {
  private readonly method: string;
  private readonly intervalMs: number;
  private readonly resident: Resident;
  private readonly timer: NodeJS.Timeout;
  private readonly gpu;
  private pending: Promise<void> | null = null;
  private marking: Promise<void> | null = null;
  private baseline: number | null = null;
  private peak: number | null = null;
  /** The high-water mark that was there before what is measured began, where it could not be reset. */
  private staleMark = 0;
  private observations = 0;

  constructor(pid: number, method: string, intervalMs: number, resident: Resident) {
    this.method = method;
    this.intervalMs = intervalMs;
    this.resident = resident;
    this.gpu = trackGpuMemory(pid);
    this.timer = setInterval(() => this.look(), intervalMs);
    this.timer.unref();
  }

  markBaseline(): void {
    this.peak = null;
    this.observations = 0;
    const reset = this.resident.resetMark();
    this.marking = this.observe((rss, mark) => {
      this.baseline = rss;
      this.peak = rss;
      this.staleMark = reset ? 0 : (mark ?? 0);
    });
  }

  async stop(): Promise<MemorySample> {
    clearInterval(this.timer);
    await this.marking;
    await this.pending;
    await this.observe((rss, mark) => this.note(rss, mark));
    this.resident.close();
    return {
      baseline_rss: this.baseline,
      peak_rss: this.peak,
      difference_rss: this.baseline === null || this.peak === null ? null : this.peak - this.baseline,
      peak_gpu: this.gpu.stop(),
      method: this.method,
      interval_ms: this.intervalMs,
      observations: this.observations,
    };
  }

  private look(): void {
    // One `ps` at a time.
    this.pending ??=
      this.observe((rss, mark) => this.note(rss, mark))?.finally(() => {
        this.pending = null;
      }) ?? null;
  }

  private note(rss: number, mark: number | null): void {
    const high = mark !== null && mark > this.staleMark ? Math.max(rss, mark) : rss;
    this.peak = Math.max(this.peak ?? 0, high);
  }

  /** Synchronous where the source is: then there is no promise to wait for. */
  private observe(take: (rss: number, mark: number | null) => void): Promise<void> | null {
    const use = (seen: { rss: number; mark: number | null } | null): void => {
      if (!seen) return;
      this.observations++;
      take(seen.rss, seen.mark);
    };
    const seen = this.resident.read();
    if (!(seen instanceof Promise)) {
      use(seen);
      return null;
    }
    return seen.then(use);
  }
}
