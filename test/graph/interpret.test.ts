import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { Graph, Node } from '../../src/core/graph.ts';
import {
  float32,
  int64,
  type Tensor,
  type Tensors,
  tensor,
  toFloat16,
  toNumbers,
} from '../../src/core/tensor.ts';
import { interpret, unsupportedOperators } from '../../src/graph/interpret.ts';
import { erf } from '../../src/graph/kernels/unary.ts';
import { decodeOnnx } from '../../src/graph/onnx/index.ts';
import { readSafetensors } from '../../src/weights/index.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');

/** A graph over inputs x and y whose outputs are those of the last node. */
function chain(...nodes: (Partial<Node> & { op: string; inputs: string[] })[]): Graph {
  const value = (name: string) => ({ name, dtype: 'float32' as const, shape: ['...'] });
  const full = nodes.map((n, i) => ({ name: `node${i}`, attrs: {}, outputs: [`v${i}`], ...n }));
  return {
    name: 'chain',
    opset: { '': 17 },
    inputs: [value('x'), value('y')],
    outputs: full.at(-1)!.outputs.map(value),
    params: [],
    nodes: full,
  };
}

function compute(op: string, inputs: Tensor[], attrs: Node['attrs'] = {}): Tensor {
  const names = inputs.map((_, i) => (i === 0 ? 'x' : i === 1 ? 'y' : `p${i}`));
  const graph = chain({ op, inputs: names, attrs });
  const feeds = Object.fromEntries(names.map((name, i) => [name, inputs[i]!]));
  const extra = names.slice(2).map((name) => ({ name, dtype: 'float32' as const, shape: ['...'] }));
  return interpret({ ...graph, inputs: [...graph.inputs, ...extra] }, {}, feeds).v0!;
}

function failure(body: () => unknown): VersusError {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(VersusError);
    return error as VersusError;
  }
  throw new Error('nothing was thrown');
}

describe('interpret', () => {
  it('lets dropout of ratio 0 through even in training mode, and refuses any other', () => {
    const x = float32([3], [1, -2, 3]);
    const dropout = (ratio: number) =>
      compute('Dropout', [x, float32([], [ratio]), tensor('bool', [], Uint8Array.of(1))]);
    expect(dropout(0)).toEqual(x);
    expect(failure(() => dropout(0.1)).kind).toBe('unsupported');
  });

  it.each(['onnx-resnet', 'onnx-resnet-bn', 'onnx-vit'])('equals torch on %s to 1e-5', async (name) => {
    const graph = decodeOnnx(readFileSync(join(FIXTURES, name, 'model.onnx')));
    const io = await readSafetensors(join(FIXTURES, name, 'io.safetensors'));
    const part = (prefix: string): Tensors =>
      Object.fromEntries(
        Object.entries(io).flatMap(([k, t]) => (k.startsWith(prefix) ? [[k.slice(prefix.length), t]] : [])),
      );
    const results = interpret(graph, {}, part('input.'));
    for (const [key, expected] of Object.entries(part('output.'))) {
      const [a, b] = [toNumbers(results[key]!), toNumbers(expected)];
      expect(a.length).toBe(b.length);
      expect(a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i]!)), 0)).toBeLessThan(1e-5);
    }
  });

  it('takes parameters by name, before their own data', () => {
    const graph: Graph = {
      ...chain({ op: 'Add', inputs: ['x', 'w'] }),
      params: [{ name: 'w', dtype: 'float32', shape: [1], role: 'constant', data: new Float32Array([1]) }],
    };
    const x = float32([2], [1, 2]);
    expect(interpret(graph, {}, { x }).v0).toEqual(float32([2], [2, 3]));
    expect(interpret(graph, { w: float32([1], [10]) }, { x }).v0).toEqual(float32([2], [11, 12]));
  });

  it('computes only the nodes that a fetch needs, and can fetch values inside', () => {
    const graph = chain(
      { op: 'Neg', inputs: ['x'] },
      { op: 'Reshape', inputs: ['x', 'y'], outputs: ['bad'] },
      { op: 'Abs', inputs: ['v0'], outputs: ['good'] },
    );
    const feeds = { x: float32([2], [1, 2]), y: int64([1], [7]) };
    expect(interpret(graph, {}, feeds, ['good', 'v0'])).toEqual({
      good: float32([2], [1, 2]),
      v0: float32([2], [-1, -2]),
    });
    expect(failure(() => interpret(graph, {}, feeds, ['bad'])).describe()).toMatch(
      /Reshape.*\[7\][\s\S]*node1/,
    );
  });

  it('gives outputs of their own, even where nothing is computed', () => {
    const x = float32([2], [1, 2]);
    const out = interpret(chain({ op: 'Identity', inputs: ['x'] }), {}, { x }).v0!;
    expect(out).toEqual(x);
    expect(out.data).not.toBe(x.data);
  });

  it('names every operator that it lacks, also of other domains', () => {
    const graph = chain(
      { op: 'Frobnicate', inputs: ['x'] },
      { op: 'Relu', domain: 'my.domain', inputs: ['v0'] },
      { op: 'constructor', inputs: ['v1'] },
    );
    expect(unsupportedOperators(graph).map((u) => u.op)).toEqual([
      'Frobnicate',
      'my.domain:Relu',
      'constructor',
    ]);
    const error = failure(() => interpret(graph, {}, { x: float32([1], [1]) }));
    expect(error.kind).toBe('unsupported');
    expect(error.describe()).toMatch(/Frobnicate, my\.domain:Relu, constructor[\s\S]*node0/);
  });

  it('says which value is missing and which node wants it', () => {
    const graph = chain({ op: 'Add', inputs: ['x', 'w'] });
    expect(failure(() => interpret(graph, {}, { x: float32([1], [1]) })).describe()).toMatch(
      /'w' is missing[\s\S]*node0/,
    );
    expect(failure(() => interpret(graph, {}, {}, ['nothing'])).message).toMatch(/no value 'nothing'/);
  });

  it('refuses shapes that would take the memory, or have no end', () => {
    const huge = int64([3], [1e6, 1e6, 1e6]);
    expect(failure(() => compute('Expand', [float32([1], [1]), huge])).message).toMatch(
      /cannot make a tensor/,
    );
    expect(failure(() => compute('ConstantOfShape', [int64([1], [-5])])).message).toMatch(
      /cannot make a tensor/,
    );
    expect(
      failure(() =>
        compute(
          'Range',
          [0, 9, 0].map((v) => float32([], [v])),
        ),
      ).message,
    ).toMatch(/no end/);
    expect(failure(() => compute('Gather', [float32([2], [1, 2]), int64([1], [2])])).message).toMatch(
      /out of range/,
    );
  });

  it('keeps all 64 bits of whole numbers that it only moves', () => {
    const big = tensor('int64', [2], new BigInt64Array([2n ** 63n - 1n, -(2n ** 62n) - 1n]));
    expect(compute('Gather', [big, int64([2], [1, 0])]).data).toEqual(
      new BigInt64Array([-(2n ** 62n) - 1n, 2n ** 63n - 1n]),
    );
    expect(compute('Cast', [big], { to: 13 }).data).toEqual(
      new BigUint64Array([2n ** 63n - 1n, 2n ** 64n - 2n ** 62n - 1n]),
    );
  });

  it('rounds half precision once per node, to nearest even', () => {
    const half = (values: number[]) =>
      tensor('float16', [values.length], Uint16Array.from(values, toFloat16));
    // 2048 + 1 lies between the neighbours 2048 and 2050; 2050 + 1 between 2050 and 2052.
    expect(toNumbers(compute('Add', [half([2048, 2050, 65504]), half([1, 1, 100])]))).toEqual(
      new Float64Array([2048, 2052, Number.POSITIVE_INFINITY]),
    );
  });

  it('handles tensors without elements', () => {
    const none = float32([0, 3], []);
    expect(compute('Concat', [none, float32([1, 3], [1, 2, 3])], { axis: 0 })).toEqual(
      float32([1, 3], [1, 2, 3]),
    );
    expect(compute('MatMul', [none, float32([3, 2], [1, 2, 3, 4, 5, 6])])).toEqual(float32([0, 2], []));
    expect(compute('MatMul', [float32([2, 0], []), float32([0, 1], [])])).toEqual(float32([2, 1], [0, 0]));
    expect(compute('Softmax', [none], { axis: -1 })).toEqual(none);
    expect(compute('ReduceSum', [none], { keepdims: 0 })).toEqual(float32([], [0]));
    expect(compute('Transpose', [none])).toEqual(float32([3, 0], []));
  });

  it('finds nothing in an empty dimension, whichever way a slice runs', () => {
    const slice = (step: number) =>
      compute('Slice', [float32([0], []), ...[0, 9, 0, step].map((n) => int64([1], [n]))]).shape;
    expect([slice(1), slice(-1), slice(-2)]).toEqual([[0], [0], [0]]);
  });

  it('knows the error function to double precision', () => {
    // NIST DLMF, table 7.23(i), and Abramowitz and Stegun, table 7.1.
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(erf(1)).toBeCloseTo(0.8427007929497149, 15);
    expect(erf(-2)).toBeCloseTo(-0.9953222650189527, 15);
    expect(1 - erf(3)).toBeCloseTo(2.209049699858544e-5, 15);
    expect(erf(2.4999999)).toBeCloseTo(erf(2.5), 8);
    expect([erf(0), erf(40), erf(-40)]).toEqual([0, 1, -1]);
  });
});
