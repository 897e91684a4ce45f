import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bundle, bundle } from '../../src/code/index.mjs';
import type { Config } from '../../src/core/config.ts';
import { probeBackends } from '../../src/run/probe.ts';
import type { Task } from '../../src/run/protocol.ts';
import { supervise } from '../../src/run/supervise.ts';
import { ADDRESS, taskOf, testConfig, workbench } from './bench.ts';

let config: Config;
let bench: ReturnType<typeof workbench>;
let reference: string;
let made: Bundle;
beforeAll(async () => {
  bench = workbench();
  config = await testConfig();
  reference = path.join(bench.dir, 'reference.safetensors');
  made = await bundle(ADDRESS.path);
  expect(made.code).not.toBeNull();
  // From the sources; all others are from the bundle.
  const passed = await supervise(taskOf(config, 'onnxruntime-cpu', 'reference', reference), {
    timeoutMs: 60_000,
  });
  expect(passed).toMatchObject({ status: 'ok', reason: null });
});
afterAll(async () => {
  bench.clean();
  made.close();
});

const bundled = <T extends Task>(task: T): T => ({ ...task, config: { ...ADDRESS, code: made.code } });

const run = (backend: string, pass: 'check' | 'speed' = 'check', timeoutMs = 60_000, profile = 'default') =>
  supervise(bundled(taskOf(config, backend, pass, reference, profile)), { timeoutMs });

/** Whether a process is there and not only waiting to be reaped. */
function running(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a worker process', () => {
  it('checks a case against the reference and finds its exact facts', async () => {
    const ending = await run('onnxruntime-cpu');
    expect(ending).toMatchObject({ status: 'ok', reason: null, samples: [] });
    expect(ending.findings).toMatchObject({
      parity: { agrees: true, reference: 'onnxruntime-cpu', worst: 'logits' },
      facts: { parameters: 36, macs: 32, nodes: 1, weight_bytes: 144, weights: 'seeded(0)', trained: false },
      invalid: null,
    });
    expect(ending.findings.placement?.share).toBe(1);
    expect(ending.findings.model_sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it('times a case: cold phases apart, samples in time order', async () => {
    const ending = await run('onnxruntime-cpu', 'speed');
    expect(ending.status).toBe('ok');
    expect(ending.spawnMs).toBeGreaterThan(0);
    expect(ending.findings.cold?.load).toBeGreaterThan(0);
    expect(ending.findings.cold?.first).toBeGreaterThan(0);
    const infer = ending.samples.find((s) => s.phase === 'infer')!;
    expect(infer.ms.length).toBeGreaterThanOrEqual(5);
    expect(infer.rep).toEqual(infer.ms.map((_, i) => i));
    expect(infer.items.every((n) => n === 1)).toBe(true);
    expect(infer.ms.every((ms) => ms > 0)).toBe(true);
    expect(ending.samples.map((s) => s.phase)).toEqual(['prepare', 'infer']);
  });

  it.each([
    ['segv', 'crashed', /^SIGSEGV while checking the outputs/],
    ['aborts', 'crashed', /^SIGABRT while checking the outputs: .*std::logic_error/],
    ['leaves', 'crashed', /ended by itself \(exit code 7\)/],
    ['killed', 'oom', /^killed .* while checking the outputs.*out of memory/],
    ['starves', 'oom', /^out of memory while checking the outputs: Array buffer allocation failed$/],
    ['throws', 'failed', /^something is not right$/],
    ['forgets', 'failed', /^forgotten$/],
    ['intrudes', 'failed', /^the worker sent what is no message of ours/],
    // One line without control characters, and not the megabyte that was thrown.
    ['screams', 'failed', /^no \ufffd !{1000,4000} …$/],
    ['mute', 'failed', /^something was thrown that has no message$/],
    // Closing it goes wrong too; that is not why.
    ['empty', 'failed', /^(?!.*close is not a function)/],
    ['lacks', 'unsupported', /^operator Gemm is not supported \(node gemm_0\)$/],
  ])('on backend %s ends as %s', async (backend, status, reason) => {
    const ending = await run(backend);
    expect(ending.status).toBe(status);
    expect(ending.reason).toMatch(reason);
    // What was known before it ended is kept.
    expect(ending.findings.model_sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it('that hangs in a loop is killed at its time limit', async () => {
    const ending = await run('hangs', 'check', 5000);
    expect(ending.status).toBe('timeout');
    expect(ending.reason).toBe('killed after 5 s without coming to an end while checking the outputs');
    expect(ending.wallMs).toBeLessThan(30_000);
  });

  it('that dies while it measures keeps the samples before', async () => {
    const ending = await run('late', 'speed', 60_000, 'long');
    expect(ending.status).toBe('crashed');
    expect(ending.reason).toMatch(/^SIGSEGV while measuring the speed/);
    const infer = ending.samples.find((s) => s.phase === 'infer')!;
    expect(infer.ms.length).toBeGreaterThan(3);
    expect(infer.ms.length).toBeLessThan(26);
    expect(infer.ms.every((ms) => ms >= 15)).toBe(true);
  });

  it('that hangs is cancelled at once', async () => {
    const stop = new AbortController();
    const ending = await supervise(taskOf(config, 'hangs', 'check', reference), {
      timeoutMs: 60_000,
      signal: stop.signal,
      onMessage: (message) => {
        if (message.type === 'stage' && message.name === 'checking the outputs') stop.abort();
      },
    });
    expect(ending).toMatchObject({ status: 'cancelled', reason: 'stopped while checking the outputs' });
  });

  it.runIf(process.platform === 'linux')('leaves when its parent is killed', async () => {
    const script = fileURLToPath(new URL('./fixtures/parent.ts', import.meta.url));
    const parent = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script, reference], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    for await (const chunk of parent.stdout) {
      said += chunk;
      if (said.includes('computing the reference')) break;
    }
    const worker = fs.readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim();
    expect(worker).toMatch(/^\d+$/);
    parent.kill('SIGKILL');
    await expect.poll(() => running(Number(worker)), { timeout: 10_000 }).toBe(false);
  });

  it('whose config is gone fails and says so', async () => {
    const task = taskOf(config, 'onnxruntime-cpu', 'check', reference);
    const ending = await supervise(
      { ...task, config: { ...ADDRESS, path: '/nowhere/bench.config.ts' } },
      { timeoutMs: 60_000 },
    );
    expect(ending.status).toBe('failed');
    expect(ending.reason).toContain('/nowhere/bench.config.ts');
  });
});

describe('probing', () => {
  it('survives a driver that crashes, and asks the others', async () => {
    const probes = await probeBackends(ADDRESS, ['faints', 'gone', 'soft']);
    expect(probes.get('faints')).toMatchObject({
      available: false,
      reason: expect.stringMatching(/^the probe ended in crashed: SIGSEGV/),
    });
    expect(probes.get('gone')).toMatchObject({ available: false, reason: 'no adapter' });
    expect(probes.get('soft')).toMatchObject({ available: true, device: { software: true } });
  });

  it('takes a backend whose probe answers garbage for unavailable', async () => {
    const faults = {
      'answers-0': 'expected an object',
      'answers-1': 'version: expected a text',
      'answers-2': 'expected an object',
    };
    const probes = await probeBackends(ADDRESS, Object.keys(faults));
    for (const [name, fault] of Object.entries(faults)) {
      expect(probes.get(name)).toMatchObject({
        available: false,
        reason: expect.stringContaining(fault),
      });
    }
  });
});
