import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const INTERVAL_MS = 100;
const QUERY = [
  '--query-compute-apps=pid,gpu_uuid,used_memory',
  '--format=csv,noheader,nounits',
  '-lms',
  `${INTERVAL_MS}`,
];

export interface GpuMemoryTracker {
  /** Most bytes that the process held at once over all GPUs; null when nvidia-smi never named it. */
  stop(): number | null;
}

/**
 * Watches the GPU memory of one process through one long-running `nvidia-smi`. Where there is none, or where it doesn't list
 * processes (some drivers, containers without the host's process ids), the result is null.
 */
export function trackGpuMemory(pid: number): GpuMemoryTracker {
  const held = new Map<string, number>();
  let peak: number | null = null;
  let process: ChildProcess | null = spawn('nvidia-smi', QUERY, { stdio: ['ignore', 'pipe', 'ignore'] });
  process.once('error', () => {
    process = null;
  });
  process.unref();
  createInterface({ input: process.stdout! }).on('line', (line) => {
    const found = parseLine(line, pid);
    if (!found) return;
    held.set(found.gpu, found.bytes);
    const total = [...held.values()].reduce((a, b) => a + b, 0);
    peak = Math.max(peak ?? 0, total);
  });
  return {
    stop: () => {
      process?.kill('SIGKILL');
      process = null;
      return peak;
    },
  };
}

/** `pid, gpu_uuid, MiB`; null for other processes and where the amount is `[N/A]`. */
function parseLine(line: string, pid: number): { gpu: string; bytes: number } | null {
  const [id, gpu, mib] = line.split(',').map((field) => field.trim());
  if (Number(id) !== pid || !gpu || !/^\d+$/.test(mib ?? '')) return null;
  return { gpu, bytes: Number(mib) * 2 ** 20 };
}
