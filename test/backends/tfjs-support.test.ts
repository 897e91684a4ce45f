import { expect, it } from 'vitest';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import type { Graph } from '../../src/core/graph.ts';
import { float32 } from '../../src/core/tensor.ts';
import { single } from '../fuzz/known.ts';
import { workplace } from './artifact.ts';

const files = workplace();
const open = async (graph: Graph) => tfjs('wasm').open(await files.write(graph), { precision: 'fp32' });

it('names operator, node and operator set of all that no engine has, before anything runs', async () => {
  const graph: Graph = {
    name: 'lacking',
    opset: { '': 17, 'ai.onnx.ml': 3 },
    inputs: [{ name: 'x', dtype: 'float32', shape: [2] }],
    outputs: [{ name: 'z', dtype: 'float32', shape: [2] }],
    params: [],
    nodes: [
      { op: 'Frobnicate', name: 'head', inputs: ['x'], outputs: ['y'], attrs: {} },
      { op: 'Binarizer', domain: 'ai.onnx.ml', name: '', inputs: ['y'], outputs: ['z'], attrs: {} },
    ],
  };
  await expect(open(graph)).rejects.toMatchObject({
    kind: 'unsupported',
    message:
      'tfjs-wasm lacks Frobnicate (node head) of opset 17, ai.onnx.ml:Binarizer (node z) of opset 3 of ai.onnx.ml',
  });
});

it('names them too where a use of an operator shows only when it runs', async () => {
  const bool = { dtype: 'bool' as const, shape: [], data: Uint8Array.of(1) };
  const { graph, feeds } = single(
    'Dropout',
    { x: float32([2], [1, 2]), ratio: float32([], [0.5]), bool },
    {},
  );
  const session = await open(graph);
  await expect(session.run(feeds)).rejects.toMatchObject({
    kind: 'unsupported',
    message: 'tfjs-wasm lacks Dropout (node node: training mode) of opset 17',
  });
  await session.close();
});

it('broadcasts what lies turned with what has more axes', async () => {
  const { graph, feeds } = single('Transpose', { x: float32([3, 2], [1, 2, 3, 4, 5, 6]) }, { perm: [1, 0] });
  const wide = { dtype: 'float32' as const, shape: [1, 1, 1] };
  const session = await open({
    ...graph,
    inputs: [...graph.inputs, { name: 'w', ...wide }],
    outputs: [{ name: 'y', dtype: 'float32', shape: [1, 2, 3] }],
    nodes: [
      { ...graph.nodes[0]!, outputs: ['turned'] },
      { op: 'Add', name: 'add', inputs: ['turned', 'w'], outputs: ['y'], attrs: {} },
    ],
  });
  const { y } = await session.run({ ...feeds, w: { ...wide, data: Float32Array.of(10) } });
  expect(y).toEqual(float32([1, 2, 3], [11, 13, 15, 12, 14, 16]));
  await session.close();
});
