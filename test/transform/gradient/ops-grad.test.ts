import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { download } from '../../../src/backends/tfjs/download.ts';
import { loadEngine, using } from '../../../src/backends/tfjs/engine.ts';
import { Executor } from '../../../src/backends/tfjs/executor.ts';
import { dispose } from '../../../src/backends/tfjs/value.ts';
import type { Attribute, Graph, Param } from '../../../src/core/graph.ts';
import { type Tensor, type Tensors, toNumbers } from '../../../src/core/tensor.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { inferTypes } from '../../../src/graph/infer.ts';
import { interpret } from '../../../src/graph/interpret.ts';
import { encodeOnnx } from '../../../src/graph/onnx/index.ts';
import { addGradients } from '../../../src/transform/gradient/index.ts';
import { lower } from '../../../src/transform/lower/index.ts';
import { recogniseActivations } from '../../../src/transform/recognise-activation.ts';
import { recogniseNorms } from '../../../src/transform/recognise-norm.ts';
import { readSafetensors } from '../../../src/weights/safetensors.ts';
import { FORWARD } from './ops-grad-cases.ts';

const FOLDER = join(import.meta.dirname, '../../fixtures/ops-grad');

interface Case {
  readonly name: string;
  readonly attrs: Record<string, Attribute>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly grads: readonly string[];
}
const CASES: readonly Case[] = JSON.parse(readFileSync(join(FOLDER, 'config.json'), 'utf8')).cases;
const IO = await readSafetensors(join(FOLDER, 'io.safetensors'));

async function forwardOf(c: Case): Promise<Graph> {
  const g = new GraphBuilder(c.name);
  const inputs = c.inputs.map((name) => {
    const { dtype, shape } = IO[`${c.name}/input.${name}`]!;
    return g.input(name, dtype, shape);
  });
  const made = FORWARD[c.name]!(g, inputs, c.attrs);
  const results = Array.isArray(made) ? made : [made];
  results.forEach((value, i) => {
    // An output may have the name of an input.
    g.output(`out.${c.outputs[i]}`, value);
  });
  return recogniseNorms(await recogniseActivations(g.build()));
}

function withGradients(c: Case, forward: Graph): Graph {
  const g = GraphBuilder.over(forward, inferTypes(forward, {}).types);
  const seeds = forward.outputs.map(({ name }) => {
    return [name, g.constant(IO[`${c.name}/upstream.${name.slice('out.'.length)}`]!)] as const;
  });
  for (const [name, value] of addGradients(g, new Map(seeds), c.grads)) g.output(`grad.${name}`, value);
  return g.build();
}

function compare(c: Case, results: Tensors): void {
  const close = (what: string, got: Tensor, wanted: Tensor): void => {
    expect(got.shape, what).toEqual(wanted.shape);
    const [a, b] = [toNumbers(got), toNumbers(wanted)];
    const off = a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]!)), 0);
    expect(off, what).toBeLessThan(1e-4);
  };
  const made = Object.keys(results);
  expect(made).toEqual(expect.arrayContaining(c.grads.map((name) => `grad.${name}`)));
  for (const name of made) {
    const wanted = name.startsWith('grad.') ? name : name.replace('out.', 'output.');
    close(name, results[name]!, IO[`${c.name}/${wanted}`]!);
  }
}

async function onnxruntime(graph: Graph, feeds: Tensors): Promise<Tensors> {
  const options = { logSeverityLevel: 4 as const, intraOpNumThreads: 1 };
  const session = await InferenceSession.create(encodeOnnx(graph), options);
  try {
    const fed = Object.entries(feeds).flatMap(([name, t]) =>
      session.inputNames.includes(name)
        ? [[name, new OrtTensor(t.dtype as never, t.data as never, t.shape)]]
        : [],
    );
    const results = await session.run(Object.fromEntries(fed));
    return Object.fromEntries(
      Object.entries(results).map(([name, t]) => [
        name,
        { dtype: t.type, shape: t.dims, data: t.data } as Tensor,
      ]),
    );
  } finally {
    await session.release();
  }
}

/** Through the executor of the tfjs backend, on the engine that is there without a GPU. */
async function wasm(graph: Graph, feeds: Tensors): Promise<Tensors> {
  const engine = await loadEngine('wasm');
  return using(engine, async () => {
    const numbers = { read: async ({ dtype, shape, data }: Param) => ({ dtype, shape, data: data! }) };
    const executor = await Executor.load(graph, numbers, engine, false);
    try {
      const fetch = graph.outputs.map(({ name }) => name);
      const results: Tensors = {};
      for (const [name, value] of await executor.run(feeds, fetch)) {
        results[name] = await download(engine, value);
        dispose(value);
      }
      return results;
    } finally {
      executor.close();
    }
  });
}

// PyTorch's autograd in float64 made the numbers: gradients of L = Σ y · upstream.
describe("gradients equal PyTorch's in the interpreter, in onnxruntime and in tfjs", () => {
  it.each(CASES.map((c) => [c.name, c] as const))('%s', async (_, c) => {
    const forward = await forwardOf(c);
    const feeds = Object.fromEntries(c.inputs.map((name) => [name, IO[`${c.name}/input.${name}`]!]));
    const graph = withGradients(c, forward);
    compare(c, interpret(graph, {}, feeds));
    compare(c, await onnxruntime(lower(graph), feeds));
    compare(c, await onnxruntime(lower(graph, { microsoft: true }), feeds));
    compare(c, await wasm(graph, feeds));
  });
});
