import { afterAll, describe, expect, it } from 'vitest';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import { reference } from '../../src/backends/reference.ts';
import type { Backend, Opened } from '../../src/core/backend.ts';
import { bytesPerElement, elementCount } from '../../src/core/tensor.ts';
import type { Job } from '../../src/core/workload.ts';
import { trafficOf } from '../../src/run/job.ts';
import { compareTensors } from '../../src/stats/parity.ts';
import { openArtifact, openArtifactResident, prepareArtifacts } from '../../src/weights/index.ts';
import { generate } from '../../src/workloads/generate.ts';
import { model } from '../../src/zoo/index.ts';
import { oneThread } from '../one-thread.ts';
import { cleanUp, scratch } from './harness.ts';

afterAll(cleanUp);

/** Generation with the sessions that it opened; `resident: false` hides from it that anything could stay on a device. */
async function opened(name: string, backend: Backend, resident: boolean, newTokens = 4) {
  const subject = model(name);
  const artifacts = await prepareArtifacts(subject, {
    cacheDir: `${scratch}/cache`,
    maxBytes: 1e9,
    precision: 'fp32',
  });
  const sessions: Opened[] = [];
  const track = async <S extends Opened>(session: Promise<S>): Promise<S> => {
    sessions.push(await session);
    return session;
  };
  const job: Job<{ promptTokens: number; newTokens: number }> = {
    ...{ model: subject, params: { promptTokens: 5, newTokens }, batch: 1, seed: 7, trained: false },
    open: (graph) => track(openArtifact(backend, artifacts[graph]!, { precision: 'fp32' })),
    dataset: () => Promise.reject(new Error('no dataset here')),
    ...(resident && {
      openResident: (graph, keep) =>
        track(openArtifactResident(backend, artifacts[graph]!, { precision: 'fp32' }, keep)),
    }),
  };
  const activity = await generate.open(job);
  return { activity, sessions, traffic: () => trafficOf(sessions)! };
}

/** Bytes of the keys and values of `positions` tokens. */
async function cacheBytes(name: string, positions: number): Promise<number> {
  const subject = model(name);
  const graphs = await subject.build(subject.config);
  const inputs = (graphs.decoder ?? graphs.model)!.inputs.filter((i) =>
    i.name.startsWith('past_key_values.'),
  );
  return inputs.reduce((sum, { dtype, shape }) => {
    const sizes = shape.map((dim, axis) => (axis === 0 ? 1 : axis === 2 ? positions : Number(dim)));
    return sum + elementCount(sizes) * bytesPerElement(dtype);
  }, 0);
}

const webgpu = onnxruntime('webgpu');
const gpu = await webgpu.probe();

describe.each([
  ['qwen2-tiny', oneThread()],
  ['florence-2-tiny', oneThread()],
  ['qwen2-tiny', reference],
  ['qwen2-tiny', webgpu],
] as const)('generation by %s with its cache where it was computed', (name, backend) => {
  const there = backend !== webgpu || gpu.available;
  it.skipIf(!there)(`gives what it gives through the host on ${backend.name}`, async () => {
    const [kept, moved] = [await opened(name, backend, true), await opened(name, backend, false)];
    const [ours, theirs] = [await kept.activity.outputs(), await moved.activity.outputs()];
    expect(Object.keys(ours)).toEqual(['prefill.logits', 'decode.1.logits', 'decode.2.logits']);
    expect(compareTensors(ours, theirs, 0, 'host').agrees).toBe(true);
    // Prefill and two more tokens: what lay in the cache after each call never crossed, out or in again.
    const [few, many] = [kept.traffic(), moved.traffic()];
    expect(few.resident).toBe(0);
    const own = name === 'qwen2-tiny' ? [5, 6, 7] : null;
    if (own) {
      const bytes = await Promise.all(own.map((positions) => cacheBytes(name, positions)));
      expect(many.to_host - few.to_host).toBe(bytes.reduce((a, b) => a + b, 0));
      expect(many.to_device - few.to_device).toBe(bytes[0]! + bytes[1]!);
    } else {
      expect(few.to_host).toBeLessThan(many.to_host);
    }
    await kept.activity.close();
    await moved.activity.close();
  });
});

describe('a cache that is kept', () => {
  it('is freed when generation ends, and when it is left early', async () => {
    const { activity, traffic } = await opened('qwen2-tiny', oneThread(), true, 3);
    for (let repetition = 0; repetition < 2; repetition++) {
      for await (const step of activity.steps(repetition)) await step.run();
      expect(traffic().resident).toBe(0);
    }
    for await (const step of activity.steps(0)) {
      await step.run();
      expect(traffic().resident).toBe(await cacheBytes('qwen2-tiny', 5));
      break;
    }
    expect(traffic().resident).toBe(0);
    await activity.close();
  });
});
