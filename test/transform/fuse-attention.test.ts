import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import type { Tensor, Tensors } from '../../src/core/tensor.ts';
import { GraphBuilder, type Value } from '../../src/graph/builder.ts';
import { inferTypes } from '../../src/graph/infer.ts';
import { dropDead } from '../../src/transform/drop-dead.ts';
import { fuseAttention } from '../../src/transform/fuse-attention.ts';
import { checkPass, drawn, opsOf, type Pass } from './passes.ts';

const fuse: Pass = async (graph) => dropDead(await fuseAttention(graph));

function feedsOf(graph: Graph, symbols: Record<string, number> = {}): Tensors {
  const feeds = graph.inputs.map((input, i) => {
    const shape = input.shape.map((d) => (typeof d === 'number' ? d : symbols[d]!));
    const t = drawn(shape, i, 2);
    const bits = Uint8Array.from(t.data as Float32Array, (v, at) =>
      Number(v > 0 || at % shape.at(-1)! === 0),
    );
    const flags: Tensor = { dtype: 'bool', shape, data: bits };
    return [input.name, input.dtype === 'bool' ? flags : t] as const;
  });
  return Object.fromEntries(feeds);
}

const form = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  heads: fc.integer({ min: 1, max: 3 }),
  queries: fc.integer({ min: 1, max: 3 }),
  keys: fc.integer({ min: 1, max: 4 }),
  width: fc.integer({ min: 1, max: 3 }),
  wide: fc.integer({ min: 1, max: 3 }),
  rank: fc.constantFrom(3, 4, 5),
  split: fc.boolean(),
  scales: fc.subarray(['q', 'k before', 'k behind', 'scores', 'twice'] as const),
  divide: fc.boolean(),
  masks: fc.array(fc.constantFrom('right', 'left', 'where', 'where not'), { maxLength: 2 }),
  maskRows: fc.boolean(),
  between: fc.constantFrom('nothing', 'Identity', 'Cast'),
  opset: fc.constantFrom(13, 17, 20),
});
type Form = typeof form extends fc.Arbitrary<infer T> ? T : never;

function attention(c: Form): Graph {
  const g = new GraphBuilder('attention', { opset: c.opset });
  const lead = [c.batch, 2, c.heads].slice(c.rank === 3 ? 2 : c.rank === 4 ? 1 : 0);
  const scaled = (x: Value, where: Form['scales'][number]) =>
    c.scales.includes(where) ? (c.divide ? g.div(x, 1.5) : g.mul(0.6, x)) : x;
  let q = scaled(g.input('q', 'float32', [...lead, c.queries, c.width]), 'q');
  if (c.scales.includes('twice')) q = g.mul(q, 1.25);
  const swap = lead.map((_, i) => i);
  const [r, s] = [lead.length, lead.length + 1];
  let k: Value;
  if (c.split) {
    // [..., T, H, d], split from a row of heads, transposed at once to [..., H, d, T].
    const raw = scaled(
      g.input('k', 'float32', [...lead.slice(0, -1), c.keys, lead.at(-1)!, c.width]),
      'k before',
    );
    k = g.transpose(raw, [...swap.slice(0, -1), r, s, r - 1]);
  } else {
    k = g.transpose(scaled(g.input('k', 'float32', [...lead, c.keys, c.width]), 'k before'), [...swap, s, r]);
  }
  k = scaled(k, 'k behind');
  let x = scaled(g.matmul(q, k), 'scores');
  c.masks.forEach((mask, i) => {
    const shape = c.maskRows ? [...lead.slice(1), c.queries, c.keys] : [c.keys];
    if (mask.startsWith('where')) {
      const keep = g.input(`keep${i}`, 'bool', shape);
      const low = mask === 'where' ? Number.NEGATIVE_INFINITY : -3.4028234663852886e38;
      x = mask === 'where' ? g.where(keep, x, low) : g.where(g.not(keep), low, x);
    } else {
      const added = g.input(`mask${i}`, 'float32', shape);
      x = mask === 'left' ? g.add(added, x) : g.add(x, added);
    }
  });
  const via = (v: Value) =>
    c.between === 'Cast' ? g.cast(v, 'float64') : c.between === 'Identity' ? g.identity(v) : v;
  let p = g.softmax(via(x), c.divide ? -1 : x.shape.length - 1);
  if (c.between === 'Cast') p = g.cast(p, 'float32');
  g.output('y', g.matmul(p, g.input('v', 'float32', [...lead, c.keys, c.wide])));
  return g.build();
}

describe('attention', () => {
  it('is found in every form', async () => {
    await fc.assert(
      fc.asyncProperty(form, async (c) => {
        const graph = attention(c);
        const after = await checkPass(graph, fuse, feedsOf(graph));
        const ops = opsOf(after);
        expect(ops['versus:Attention']).toBe(1);
        expect([ops.MatMul, ops.Softmax, ops.Mul, ops.Div]).toEqual([
          undefined,
          undefined,
          undefined,
          undefined,
        ]);
        expect(ops.Transpose ?? 0).toBe(c.split ? 1 : 0);
        expect(after.nodes.at(-1)!.name).toBe('Softmax');
        expect(inferTypes(after, {}).types.get('y')).toEqual(inferTypes(graph, {}).types.get('y'));
      }),
      { numRuns: 150, seed: 11 },
    );
  });

  it('is found where query heads share keys as rows of one product', async () => {
    const g = new GraphBuilder('grouped');
    const mask = g.input('mask', 'float32', ['batch', 1, 'sequence', 'past+sequence']);
    const q = g.input('q', 'float32', ['batch', 6, 'sequence', 4]);
    const [k, v] = ['k', 'v'].map((n) =>
      g.input(n, 'float32', ['batch', 2, 'past+sequence', n === 'k' ? 4 : 3]),
    ) as [Value, Value];
    const folded = g.mul(g.reshape(q, ['batch', 2, '3*sequence', 4]), 0.5);
    const scores = g.matmul(folded, g.transpose(k, [0, 1, 3, 2]));
    const masked = g.add(g.reshape(scores, ['batch', 6, 'sequence', 'past+sequence']), mask);
    const shares = g.reshape(g.softmax(masked, -1), ['batch', 2, '3*sequence', 'past+sequence']);
    g.output('y', g.reshape(g.matmul(shares, v), ['batch', 6, 'sequence', 3]));
    const graph = g.build();
    const sizes = { batch: 2, sequence: 3, 'past+sequence': 5 };
    const after = await checkPass(graph, fuse, feedsOf(graph, sizes));
    expect(opsOf(after)).toEqual({ 'versus:Attention': 1 });
    expect(after.nodes[0]!.inputs).toEqual(['q', 'k', 'v', 'mask']);
  });

  /** Windows in the batch: a bias by head, a mask by window in a shape of its own, back before or behind the softmax. */
  function windowed(biasBatch: number, behind: boolean): Graph {
    const g = new GraphBuilder('windows');
    const [q, k, v] = ['q', 'k', 'v'].map((n) => g.input(n, 'float32', ['4*batch', 2, 3, 3])) as [
      Value,
      Value,
      Value,
    ];
    let x = g.matmul(g.mul(q, 0.5), g.transpose(k, [0, 1, 3, 2]));
    x = g.add(x, g.input('bias', 'float32', biasBatch === 1 ? [1, 2, 3, 3] : ['4*batch', 2, 3, 3]));
    x = g.reshape(x, ['batch', 4, 2, 3, 3]);
    x = g.add(x, g.input('mask', 'float32', [4, 1, 3, 3]));
    const back = (y: Value) => g.reshape(y, ['4*batch', 2, 3, 3]);
    g.output('y', g.matmul(behind ? back(g.softmax(x)) : g.softmax(back(x)), v));
    return g.build();
  }

  it.each([
    true,
    false,
  ])('is found where windows are part of the batch (back behind the softmax: %s)', async (behind) => {
    const graph = windowed(1, behind);
    const after = await checkPass(graph, fuse, feedsOf(graph, { '4*batch': 8 }));
    expect(opsOf(after)).toEqual({ 'versus:Attention': 1, Reshape: 4, Add: 1 });
    expect(inferTypes(after, {}).types.get('y')!.shape).toEqual(['4*batch', 2, 3, 3]);
  });

  it('is left where a bias by window is part of the batch, too', async () => {
    const graph = windowed(2, false);
    const after = await checkPass(graph, fuse, feedsOf(graph, { '4*batch': 8 }));
    expect(opsOf(after)).toEqual(opsOf(graph));
  });

  it('is found with one query for all', async () => {
    const g = new GraphBuilder('pool');
    const q = g.param('q', [1, 2, 1, 3]);
    const [k, v] = ['k', 'v'].map((n) => g.input(n, 'float32', ['batch', 2, 4, 3])) as [Value, Value];
    g.output('y', g.matmul(g.softmax(g.matmul(q, g.transpose(k, [0, 1, 3, 2]))), v));
    const built = g.build();
    const params = built.params.map((p) => (p.name === 'q' ? { ...p, data: drawn(p.shape, 3).data } : p));
    const graph = { ...built, params };
    const after = await checkPass(graph, fuse, feedsOf(graph, { batch: 3 }));
    expect(opsOf(after)).toEqual({ 'versus:Attention': 1 });
  });

  interface Parts {
    readonly g: GraphBuilder;
    readonly scores: Value;
    readonly v: Value;
  }
  const near: Record<string, (p: Parts) => Value> = {
    'a softmax along the queries': ({ g, scores, v }) => g.matmul(g.softmax(scores, 2), v),
    'a factor on top of a mask': ({ g, scores, v }) =>
      g.matmul(g.softmax(g.mul(g.add(scores, g.input('m', 'float32', [3, 3])), 0.5)), v),
    'a factor that is fed': ({ g, scores, v }) =>
      g.matmul(g.softmax(g.mul(scores, g.input('s', 'float32', []))), v),
    'a factor by position': ({ g, scores, v }) =>
      g.matmul(g.softmax(g.mul(scores, g.input('s', 'float32', [3]))), v),
    'scores that are read': ({ g, scores, v }) => g.add(g.matmul(g.softmax(scores), v), scores),
    'shares that are read': ({ g, scores, v }) => {
      const shares = g.softmax(scores);
      return g.add(g.matmul(shares, v), shares);
    },
    'shares on the right': ({ g, scores, v }) => g.matmul(v, g.softmax(scores)),
    'a mask that is a small number': ({ g, scores, v }) =>
      g.matmul(g.softmax(g.where(g.input('keep', 'bool', [3, 3]), scores, -100)), v),
    'another nonlinearity': ({ g, scores, v }) => g.matmul(g.softmax(g.relu(scores)), v),
    'a mask that makes it wider': ({ g, scores, v }) =>
      g.matmul(g.softmax(g.add(scores, g.input('m', 'float32', [2, 1, 3, 3]))), v),
  };
  it.each(Object.entries(near))('is not seen in %s', async (_, build) => {
    const g = new GraphBuilder('near');
    const [q, k, v] = ['q', 'k', 'v'].map((n) => g.input(n, 'float32', [1, 2, 3, 3])) as [
      Value,
      Value,
      Value,
    ];
    const scores = g.mul(g.matmul(q, g.transpose(k, [0, 1, 3, 2])), 0.5);
    g.output('y', build({ g, scores, v }));
    const graph = g.build();
    const after = await checkPass(graph, fuse, feedsOf(graph));
    expect(opsOf(after)).toEqual(opsOf(graph));
  });

  it('is left where its inside is an output, or batches may differ', async () => {
    for (const shown of [true, false]) {
      const g = new GraphBuilder('left');
      const [q, k, v] = ['q', 'k', 'v'].map((n) => g.input(n, 'float32', ['batch', 2, 3, 3])) as [
        Value,
        Value,
        Value,
      ];
      const shares = g.softmax(g.matmul(q, g.transpose(k, [0, 1, 3, 2])));
      g.output('y', g.matmul(shares, v));
      if (shown) g.output('shares', shares);
      const built = g.build();
      // A foreign file may give every input a symbol of its own.
      const inputs = built.inputs.map((x, i) => ({ ...x, shape: [shown ? 'batch' : `b${i}`, 2, 3, 3] }));
      const graph = { ...built, inputs };
      const after = await checkPass(graph, fuse, feedsOf(graph, { batch: 2, b0: 2, b1: 2, b2: 2 }));
      expect(opsOf(after)).toEqual(opsOf(graph));
    }
  });
});
