import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { float32 } from '../../src/core/tensor.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import type { Task } from './child.ts';
import { Comparison } from './compare.ts';
import { hunt } from './hunt.ts';
import { single } from './known.ts';
import { BackendProcess } from './pool.ts';

const config = join(import.meta.dirname, 'fixtures', 'bench.config.ts');
const faulty = new BackendProcess(config, 'faulty', { timeoutMs: 2000 });
afterAll(() => faulty.close());

function task(op: string): Task {
  const { graph, feeds } = single(op, { x: float32([2], [0.25, 0.5]) }, {});
  return { model: encodeOnnx(graph), feeds };
}

describe('a backend in a process of its own', () => {
  it('gives results, also after a graph that killed it', async () => {
    const dead = await faulty.run(task('Sinh'));
    expect(dead).toEqual({ is: 'death', message: 'the process ended with SIGSEGV' });
    const alive = await faulty.run(task('Neg'));
    expect(alive).toMatchObject({ is: 'values', tensors: { y: { dtype: 'float32', shape: [2] } } });
  });

  it('counts no answer as death', async () => {
    expect(await faulty.run(task('Cosh'))).toEqual({ is: 'death', message: 'no answer within 2 s' });
  });

  it('hands on what the backend refuses', async () => {
    const refused = await faulty.run(task('Atanh'));
    expect(refused).toEqual({ is: 'error', kind: 'unsupported', message: 'Atanh is not supported' });
  });

  it('says so when only a sequence of graphs is deadly', async () => {
    const [first, second] = await Promise.all([faulty.run(task('Erf')), faulty.run(task('Neg'))]);
    expect(first.is).toBe('values');
    expect(second).toMatchObject({
      is: 'death',
      message: expect.stringMatching(/only after \d+ other models/),
    });
  });
});

describe('hunting', () => {
  it('makes a disagreement as small as one node over one number', async () => {
    const comparison = new Comparison(new Map([['faulty', faulty]]));
    const { caught } = await hunt(comparison, { seed: 5, runs: 200, op: 'Floor' });
    expect(caught!.findings[0]).toMatchObject({ backend: 'faulty' });
    expect(caught!.findings[0]!.what).toMatch(/^v\d+\[0\] is 7, not /);
    expect(caught!.test.graph.nodes.map((n) => n.op)).toEqual(['Floor']);
    expect(Object.values(caught!.test.feeds).every((t) => t.data.length <= 1)).toBe(true);
    const again = await hunt(comparison, { seed: caught!.seed, path: caught!.path, runs: 1, op: 'Floor' });
    expect(again.caught!.findings[0]!.what).toBe(caught!.findings[0]!.what);
  });
});
