import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { readingsOf } from '../../src/graph/layers.ts';
import { layerNorm, rmsNorm } from '../../src/zoo/layers.ts';

/** How the parameter `w` is read. */
function told(graph: Graph, name = 'w'): string[] {
  return (readingsOf(graph).get(name) ?? []).map(
    (r) => `${r.kind ?? r.node.op}${r.main ? ' main' : ''}${r.transposed ? ' transposed' : ''}`,
  );
}

function built(body: (g: GraphBuilder) => void): Graph {
  const g = new GraphBuilder('g');
  body(g);
  return g.build();
}

describe('how parameters are read', () => {
  it('tells a matrix that is kept by rows from one that is kept by columns', () => {
    const gemm = (transB: 0 | 1) =>
      built((g) => {
        const x = g.input('x', 'float32', ['n', 4]);
        g.output('y', g.gemm(x, g.param('w', [4, 4]), g.param('b', [4]), { transB }));
      });
    expect(told(gemm(1))).toEqual(['Linear main']);
    expect(told(gemm(0))).toEqual(['Linear main transposed']);
    expect(told(gemm(1), 'b')).toEqual(['Linear']);
  });

  it('looks through a Transpose', () => {
    const graph = built((g) => {
      const x = g.input('x', 'float32', ['n', 4]);
      g.output('y', g.matmul(x, g.transpose(g.param('w', [3, 4]), [1, 0])));
    });
    expect(told(graph)).toEqual(['Linear main']);
  });

  it('knows a tied table, a normalisation that is spelt out, and what is only added', () => {
    const graph = built((g) => {
      const ids = g.input('ids', 'int64', ['n']);
      const table = g.param('w', [8, 4]);
      const rows = g.add(g.gather(table, ids, 0), g.param('positions', [4]));
      const normed = layerNorm(g, rmsNorm(g, rows, 'rms', 4, 1e-6), 'ln', 4, 1e-5);
      g.output('y', g.gemm(normed, table, null, { transB: 1 }));
    });
    expect(told(graph)).toEqual(['Embedding main', 'Linear main']);
    expect(told(graph, 'rms.weight')).toEqual(['RMSNorm main']);
    expect(told(graph, 'ln.weight')).toEqual(['LayerNorm main']);
    expect(told(graph, 'ln.bias')).toEqual(['LayerNorm']);
    expect(told(graph, 'positions')).toEqual(['Add']);
  });

  it('sees what a branch reads, and gives nothing for what nothing reads', () => {
    const inner: Graph = {
      ...{ name: 'then', opset: {}, inputs: [], params: [] },
      outputs: [{ name: 'w', dtype: 'float32', shape: [2] }],
      nodes: [],
    };
    const graph: Graph = {
      ...{ name: 'g', opset: { '': 17 }, inputs: [], outputs: [] },
      params: ['w', 'idle'].map((name) => ({ name, dtype: 'float32', shape: [2], role: 'weight' })),
      nodes: [
        {
          op: 'If',
          name: 'if',
          inputs: ['c'],
          outputs: ['y'],
          attrs: { then_branch: { kind: 'graph', graph: inner } },
        },
      ],
    };
    expect(told(graph)).toEqual(['If']);
    expect(readingsOf(graph).has('idle')).toBe(false);
  });
});
