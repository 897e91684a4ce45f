import { expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { bindDims, openDims } from '../../src/transform/dims.ts';

function cached(): GraphBuilder {
  const b = new GraphBuilder('cached');
  const x = b.input('x', 'float32', ['batch', 'sequence', 4]);
  b.input('mask', 'int64', ['batch', 'past+sequence']);
  const past = b.input('past', 'float32', ['batch', 'past', 4]);
  b.output('present', b.concat([past, x], 1));
  return b;
}

it('binds sizes everywhere, sums included, and ignores names that the graph does not have', () => {
  const graph = bindDims(cached().build(), { batch: 2, past: 3, sequence: 4, height: 9 });
  expect(graph.inputs.map((i) => i.shape)).toEqual([
    [2, 4, 4],
    [2, 7],
    [2, 3, 4],
  ]);
  expect(graph.outputs[0]!.shape).toEqual([2, 7, 4]);
  expect(openDims(graph)).toEqual([]);
});

it('leaves open what is not given', () => {
  const graph = bindDims(cached().build(), { sequence: 1 });
  expect(graph.outputs[0]!.shape).toEqual(['batch', 'past+1', 4]);
  expect(openDims(graph)).toEqual(['batch', 'past']);
});
