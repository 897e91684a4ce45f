import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import { VersusError } from '../../src/core/errors.ts';
import type { Graph } from '../../src/core/graph.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { drawInputs } from '../../src/verify/draw.ts';
import { type ModelOptions, verifyModel } from '../../src/verify/model.ts';
import { model } from '../../src/zoo/index.ts';
import { workplace } from '../backends/artifact.ts';
import { oneThread } from '../one-thread.ts';
import { faulty } from './faulty.ts';

const files = workplace();
let cacheDir: string;
beforeAll(() => {
  cacheDir = mkdtempSync(join(tmpdir(), 'versus-verify-'));
});
afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

const options = (more: Partial<ModelOptions> = {}): ModelOptions => ({
  ...{ cacheDir, maxBytes: 1e9, precision: 'fp32', tolerance: 1e-3, seed: 0, batch: 1, dims: {} },
  ...more,
});

/** A user's file. */
async function foreign(graph: Graph, more: Partial<ModelDef> = {}): Promise<ModelDef> {
  const { path } = await files.write(graph);
  const own = { name: 'own.onnx', family: 'onnx', task: 'classify', config: {} } as const;
  return { ...own, files: { model: path }, build: async () => ({ model: graph }), ...more };
}

const unary = (op: string, shape: Graph['inputs'][0]['shape']): Graph => ({
  ...{ name: 'own', opset: { '': 17 }, params: [] },
  inputs: [{ name: 'x', dtype: 'float32', shape }],
  outputs: [{ name: 'y', dtype: 'float32', shape }],
  nodes: [{ op, name: `the ${op}`, inputs: ['x'], outputs: ['y'], attrs: {} }],
});

describe('verifying a model on drawn inputs', () => {
  it.each([
    ...['qwen2-vl-tiny', 'phi-3.5-vision-tiny', 'florence-2-tiny', 'sift-tiny'],
  ])('%s: every graph', async (name) => {
    const found = await verifyModel(model(name), [oneThread()], oneThread(), options());
    const graphs = Object.keys(await model(name).build(model(name).config));
    expect(found.backends[0]!.graphs.map((g) => g.graph)).toEqual([...graphs].sort());
    expect(found.backends[0]!.graphs.flatMap((g) => g.failure ?? [])).toEqual([]);
    expect(found.agrees).toBe(true);
  });

  it('says of several backends which differ, and where', async () => {
    const wrong = faulty((n) => n.op === 'Softmax', 1.2);
    const found = await verifyModel(model('clip-tiny'), [oneThread(), wrong], reference, options());
    expect(found.agrees).toBe(false);
    expect(found.backends.map((b) => [b.backend, b.agrees])).toEqual([
      ['onnxruntime-cpu', true],
      ['faulty', false],
    ]);
    expect(found.backends[1]!.graphs.map((g) => [g.graph, g.agrees])).toEqual([
      ['similarity', true],
      ['text', false],
      ['vision', false],
    ]);
    expect(found).toMatchObject({ reference: 'reference', dims: { text: { batch: 1, sequence: 32 } } });
  });

  it('compares half precision with single, and blocks with the same blocks', async () => {
    const backends = [oneThread()];
    const half = await verifyModel(
      model('vit-tiny'),
      backends,
      reference,
      options({ precision: 'fp16', tolerance: 2e-2 }),
    );
    expect(half).toMatchObject({ agrees: true, reference_precision: 'fp32' });
    const [output] = half.backends[0]!.graphs[0]!.outputs;
    expect(output!.max_rel).toBeGreaterThan(1e-6);
    const blocks = await verifyModel(model('vit-tiny'), backends, reference, options({ precision: 'int4' }));
    expect(blocks).toMatchObject({ agrees: true, reference_precision: 'int4' });
  });

  it('draws the same for the same seed, and other numbers for another', async () => {
    const vit = model('vit-tiny');
    const graph = (await vit.build(vit.config)).model!;
    const draw = (seed: number) => drawInputs('model', graph, vit, { batch: 2, dims: {}, seed });
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3).feeds).not.toEqual(draw(4).feeds);
    expect(draw(3).feeds.pixel_values!.shape[0]).toBe(2);
  });

  it('never calls NaN or infinity equal', async () => {
    for (const op of ['Sqrt', 'Log']) {
      const found = await verifyModel(await foreign(unary(op, [16])), [oneThread()], reference, options());
      expect(found.agrees).toBe(false);
      expect(found.backends[0]!.graphs[0]!.outputs[0]!.problem).toMatch(/NaN/);
    }
    const overflow = unary('Reciprocal', [16]);
    const zero = {
      ...overflow,
      nodes: [
        { ...overflow.nodes[0]!, op: 'Sub', name: 'zero', inputs: ['x', 'x'], outputs: ['0'] },
        { ...overflow.nodes[0]!, inputs: ['0'] },
      ],
    };
    const found = await verifyModel(await foreign(zero), [oneThread()], reference, options());
    expect(found.backends[0]!.graphs[0]!.outputs[0]!.problem).toMatch(/Infinity/);
  });

  it('keeps the other backends when one cannot run the model', async () => {
    const gelu = unary('SampleOp', [4]);
    const own = {
      ...gelu,
      opset: { '': 17, 'com.microsoft': 1 },
      nodes: [{ ...gelu.nodes[0]!, domain: 'com.microsoft' }],
    };
    const found = await verifyModel(await foreign(own), [reference, oneThread()], oneThread(), options());
    expect(found.agrees).toBe(false);
    expect(found.backends[0]!.graphs[0]!.failure).toMatchObject({
      kind: 'unsupported',
      message: expect.stringContaining('com.microsoft:SampleOp'),
      where: expect.stringContaining('the SampleOp'),
    });
    expect(found.backends[1]!.agrees).toBe(true);
  });
});

describe('open dimensions', () => {
  const refusal = async (shape: Graph['inputs'][0]['shape'], more: Partial<ModelDef> = {}) => {
    const error = await verifyModel(
      await foreign(unary('Tanh', shape), more),
      [reference],
      reference,
      options(),
    ).then(
      () => null,
      (e: unknown) => e,
    );
    return error as VersusError | null;
  };

  it('are asked for by name, all at once', async () => {
    const error = await refusal(['batch', 'rows', 'columns', 8, 2]);
    expect(error).toBeInstanceOf(VersusError);
    expect(error).toMatchObject({ kind: 'usage', message: 'the sizes of dimensions rows, columns are open' });
    expect(error!.next).toContain('--dim rows=N --dim columns=N');
    expect(error!.next).toContain('dims: { "rows": N, …');
    expect(error!.where).toContain('input x [batch, rows, columns, 8, 2]');
  });

  it('are asked for by the names within an expression', async () => {
    expect(await refusal(['batch', 'past+sequence'])).toMatchObject({
      message: 'the size of dimension sequence is open',
    });
  });

  it('are given on the command line, by the model, or by what the model does to images', async () => {
    expect(await refusal(['batch', 'rows'], { dims: { rows: 3 } })).toBeNull();
    const image = {
      resize: { height: 6, width: 5 },
      kernel: 'bilinear',
      mean: [0, 0, 0],
      std: [1, 1, 1],
    } as const;
    expect(await refusal(['n', 'c', 'h', 'w'], { preprocess: image })).toBeNull();
    const own = await foreign(unary('Tanh', ['n', 'rows', 'rows+columns']));
    const dims = { rows: 3, columns: 4 };
    const found = await verifyModel(own, [oneThread()], reference, options({ batch: 2, dims }));
    expect(found.backends[0]!.graphs[0]!.outputs[0]!.shape).toEqual([2, 3, 7]);
  });
});
