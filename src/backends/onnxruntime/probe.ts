import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Availability, Device, Precision } from '../../core/backend.ts';
import { reasonOf } from '../../core/errors.ts';
import { cpuDevice } from '../cpu-device.ts';
import { nvidiaDevice, webgpuDevice } from './devices.ts';
import { explain } from './errors.ts';
import { probeCases } from './probe-graph.ts';
import { prove } from './prove.mjs';
import { fixFor, type Provider } from './provider.ts';
import { loadRuntime, runtimeVersion } from './runtime.ts';

const CHILD = fileURLToPath(new URL('./probe-child.mjs', import.meta.url));
/** Creating a device takes 0.2 s on software Vulkan and a few seconds on a cold CUDA; a driver that hangs is cut off here. */
const TIMEOUT_MS = 30_000;

const run = promisify(execFile);
const known = new Map<string, Promise<Availability>>();

/**
 * Proves a provider by running a tiny graph per precision on it, with fallback to the CPU refused: in this process for the
 * CPU, in a child for the rest, because drivers abort, hang and leave threads behind. What runs only some of the graphs has
 * only those precisions. The answer is kept for the life of the process.
 */
export function probe(provider: Provider, deviceId: number | null): Promise<Availability> {
  const key = `${provider} ${deviceId}`;
  let answer = known.get(key);
  if (answer === undefined) {
    answer = provider === 'cpu' ? probeCpu() : probeApart(provider, deviceId);
    known.set(key, answer);
  }
  return answer;
}

async function probeCpu(): Promise<Availability> {
  try {
    const ort = await loadRuntime();
    const [first, ...others] = probeCases();
    await prove(ort, 'cpu', first!);
    const precisions: Precision[] = [first!.precision];
    for (const probe of others) {
      const works = await prove(ort, 'cpu', probe).then(
        () => true,
        () => false,
      );
      if (works) precisions.push(probe.precision);
    }
    return { available: true, version: await runtimeVersion(), device: cpuDevice(), precisions };
  } catch (error) {
    return unavailable('cpu', null, reasonOf(error));
  }
}

interface ChildAnswer {
  readonly version: string;
  readonly works: readonly Precision[];
  readonly error: string | null;
  readonly libraries: readonly string[];
  readonly devices: readonly string[];
}

async function probeApart(provider: Provider, deviceId: number | null): Promise<Availability> {
  let answer: ChildAnswer;
  try {
    const { stdout } = await run(
      process.execPath,
      [CHILD, provider, String(deviceId ?? ''), JSON.stringify(probeCases())],
      { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: 4 << 20 },
    );
    answer = lastLine(stdout);
  } catch (error) {
    const known = partialAnswer(error);
    if (known === null) return unavailable(provider, null, crashReason(error));
    answer = known;
  }
  if (answer.error !== null) {
    return unavailable(provider, answer.version, explain(answer.error, provider, 'probe').message);
  }
  return {
    available: true,
    version: answer.version,
    device: await deviceOf(provider, deviceId, answer),
    precisions: answer.works,
  };
}

function lastLine(stdout: string): ChildAnswer {
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as ChildAnswer;
}

/** What a child had proven before a later precision crashed or hung its driver; null when that was nothing. */
function partialAnswer(error: unknown): ChildAnswer | null {
  try {
    const answer = lastLine((error as { stdout?: string }).stdout ?? '');
    return answer.works.length > 0 ? answer : null;
  } catch {
    return null;
  }
}

async function deviceOf(provider: Provider, deviceId: number | null, answer: ChildAnswer): Promise<Device> {
  switch (provider) {
    case 'cpu':
      return cpuDevice();
    case 'webgpu':
      return webgpuDevice(answer);
    case 'cuda':
    case 'tensorrt':
      return (
        (await nvidiaDevice(deviceId ?? 0)) ?? {
          kind: 'gpu',
          name: 'NVIDIA GPU',
          driver: null,
          software: false,
        }
      );
    case 'dml':
      return {
        kind: 'gpu',
        name: `DirectML device ${deviceId ?? 0}`,
        driver: 'Direct3D 12',
        software: false,
      };
    case 'coreml':
      return {
        kind: 'gpu',
        name: 'Core ML (GPU, Neural Engine or CPU as it decides)',
        driver: null,
        software: false,
      };
  }
}

function unavailable(provider: Provider, version: string | null, reason: string): Availability {
  return { available: false, version, reason, fix: fixFor(provider) };
}

/** How the child ended: killed by a signal, out of time, or with a message. */
function crashReason(error: unknown): string {
  const failure = error as { killed?: boolean; signal?: string; stderr?: string };
  if (failure.killed) return `the driver did not answer within ${TIMEOUT_MS / 1000} s`;
  if (failure.signal) return `the driver crashed (${failure.signal}) while running a graph of one node`;
  const last = failure.stderr?.trim().split('\n').at(-1);
  return last || reasonOf(error);
}
