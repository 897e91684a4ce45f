import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { promisify } from 'node:util';
import type { Environment } from '../core/record.ts';
import { cpuQuota, memoryLimit, type ReadText } from './cgroup.ts';
import { timingWarnings } from './timing-warnings.ts';

const NVIDIA_SMI_TIMEOUT_MS = 3000;

const readText: ReadText = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
};

/** The machine that measures, what of it this process may use, and what makes its timings unsure. */
export async function readEnvironment(): Promise<Environment> {
  const quota = cpuQuota(readText);
  const cores = Math.max(
    1,
    Math.floor(Math.min(os.availableParallelism(), quota ?? Number.POSITIVE_INFINITY)),
  );
  const memory = Math.min(os.totalmem(), memoryLimit(readText) ?? Number.POSITIVE_INFINITY);
  const facts = {
    os: osName(readText),
    cpu: cpuName(readText),
    cores,
    memory_bytes: memory,
    node: process.version.slice(1),
    gpus: await nvidiaGpus(),
  };
  const [load] = os.loadavg();
  return {
    ...facts,
    fingerprint: fingerprint(facts),
    // Windows has no load average and says 0.
    warnings: timingWarnings(readText, { cores, quota, load: os.platform() === 'win32' ? null : load! }),
  };
}

/**
 * Hash of what timings depend on: CPU, usable cores, memory to the GiB, GPUs with drivers, architecture, and the major
 * version of Node. Patch levels of kernel and Node are left out: they change weekly and hardly move a number.
 */
export function fingerprint(facts: Omit<Environment, 'fingerprint' | 'warnings' | 'os'>): string {
  const memory = Math.round(facts.memory_bytes / 2 ** 30);
  const parts = [os.platform(), os.arch(), facts.cpu, facts.cores, memory, ...facts.gpus];
  const text = JSON.stringify([...parts, facts.node.split('.')[0]]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function osName(read: ReadText): string {
  const pretty = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(read('/etc/os-release') ?? '')?.[1];
  return `${pretty ? `${pretty}, ` : ''}${os.type()} ${os.release()} ${os.arch()}`;
}

/** The model as the kernel names it; ARM kernels name implementer and part numbers only. */
function cpuName(read: ReadText): string {
  const model = os.cpus()[0]?.model.trim().replace(/\s+/g, ' ');
  if (model && model !== 'unknown') return model;
  const field = (name: string) =>
    new RegExp(`^${name}\\s*:\\s*(.+)$`, 'm').exec(read('/proc/cpuinfo') ?? '')?.[1];
  const part = field('CPU part');
  return part ? `${os.arch()} implementer ${field('CPU implementer') ?? '?'} part ${part}` : os.arch();
}

async function nvidiaGpus(): Promise<string[]> {
  const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'];
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', query, { timeout: NVIDIA_SMI_TIMEOUT_MS });
    return parseGpus(stdout);
  } catch {
    // No NVIDIA driver, or one that doesn't answer.
    return [];
  }
}

/** Lines of `nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader` as one text per GPU. */
export function parseGpus(csv: string): string[] {
  return csv
    .split('\n')
    .map((line) => line.split(',').map((field) => field.trim()))
    .filter((fields) => fields.length === 3)
    .map(([name, driver, memory]) => `${name}, ${memory}, driver ${driver}`);
}
