import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { GraphBuilder, type Value } from '../../src/graph/builder.ts';
import { dropDead } from '../../src/transform/drop-dead.ts';
import { recogniseActivations } from '../../src/transform/recognise-activation.ts';
import { recogniseNorms } from '../../src/transform/recognise-norm.ts';
import { recogniseSoftmax } from '../../src/transform/recognise-softmax.ts';
import { checkPass, drawn, opsOf, type Pass } from './passes.ts';

const activations: Pass = async (graph) => dropDead(await recogniseActivations(graph));
const norms: Pass = async (graph) => dropDead(await recogniseNorms(graph));
const softmax: Pass = async (graph) => dropDead(await recogniseSoftmax(graph));

type Build = (g: GraphBuilder, x: Value) => Value;

/** One input `x` of that shape, one output `y`. */
function graphOf(shape: readonly number[], build: Build, opset = 17): Graph {
  const g = new GraphBuilder('pattern', { opset });
  g.output('y', build(g, g.input('x', 'float32', shape)));
  const graph = g.build();
  return {
    ...graph,
    params: graph.params.map((p, i) => (p.data ? p : { ...p, data: drawn(p.shape, i).data })),
  };
}

async function opsAfter(pass: Pass, shape: readonly number[], build: Build, opset = 17) {
  const graph = graphOf(shape, build, opset);
  const feeds = Object.fromEntries(graph.inputs.map((i, n) => [i.name, drawn(i.shape as number[], n, 3)]));
  return checkPass(graph, pass, feeds);
}

/** A product of the factors in an order and grouping that `seed` chooses. */
function shuffled(g: GraphBuilder, factors: readonly (Value | number)[], seed: number): Value {
  const left = [...factors];
  let at = seed;
  const draw = (): Value | number => left.splice(at % left.length, 1)[0]!;
  while (left.length > 1) {
    let [a, b] = [draw(), draw()];
    at = Math.floor(at / 3) + 1;
    if (typeof a === 'number' && typeof b === 'number') [a, b] = [g.scalar(a), b];
    left.push(at % 2 && typeof b === 'number' ? g.div(a, 1 / b) : g.mul(a, b));
  }
  return left[0] as Value;
}

const FORMS: Record<
  string,
  { op: string; attrs: object; build: (g: GraphBuilder, x: Value, seed: number) => Value }
> = {
  'GELU by erf': {
    op: 'Gelu',
    attrs: { approximate: 'none' },
    build: (g, x, seed) => {
      const e = g.erf(seed % 2 ? g.div(x, Math.SQRT2) : g.mul(x, Math.SQRT1_2));
      return shuffled(g, [x, 0.5, seed % 3 ? g.add(e, 1) : g.add(1, e)], seed);
    },
  },
  'GELU by tanh': {
    op: 'Gelu',
    attrs: { approximate: 'tanh' },
    build: (g, x, seed) => {
      const cube = () => (seed % 2 ? g.pow(x, 3) : g.mul(g.mul(x, x), x));
      const slope = Math.sqrt(2 / Math.PI);
      const inner =
        seed % 3
          ? g.mul(g.add(x, g.mul(cube(), 0.044715)), slope)
          : g.mul(g.mul(x, slope), g.add(g.mul(g.mul(x, 0.044715), x), 1));
      return shuffled(g, [x, 0.5, g.add(g.tanh(inner), 1)], seed);
    },
  },
  QuickGELU: {
    op: 'Swish',
    attrs: { alpha: Math.fround(1.702) },
    build: (g, x, seed) => shuffled(g, [x, g.sigmoid(g.mul(x, 1.702))], seed),
  },
  SiLU: { op: 'Swish', attrs: { alpha: 1 }, build: (g, x, seed) => shuffled(g, [x, g.sigmoid(x)], seed) },
  'HardSwish by Clip': {
    op: 'HardSwish',
    attrs: {},
    build: (g, x, seed) => {
      const clip = g.op('Clip', [seed % 2 ? g.add(x, 3) : g.add(3, x), g.scalar(0), g.scalar(6)])[0]!;
      return shuffled(g, [x, clip, 1 / 6], seed);
    },
  },
  'HardSwish by HardSigmoid': {
    op: 'HardSwish',
    attrs: {},
    build: (g, x, seed) =>
      shuffled(g, [x, g.op('HardSigmoid', [x], { alpha: Math.fround(1 / 6) })[0]!], seed),
  },
  HardSigmoid: {
    op: 'HardSigmoid',
    attrs: { alpha: 1 / 6, beta: 0.5 },
    build: (g, x) => g.div(g.op('Clip', [g.add(x, 3), g.scalar(0), g.scalar(6)])[0]!, 6),
  },
  Mish: {
    op: 'Mish',
    attrs: {},
    build: (g, x, seed) => shuffled(g, [x, g.tanh(g.op('Softplus', [x])[0]!)], seed),
  },
};

describe('activations', () => {
  it.each(Object.entries(FORMS))('%s is recognised in every order', async (_, { op, attrs, build }) => {
    const cases = fc.record({
      shape: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
      seed: fc.nat(1000),
      opset: fc.constantFrom(13, 17, 20),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ shape, seed, opset }) => {
        // An operator before it, so that the input of the pattern is a value like any other.
        const after = await opsAfter(activations, shape, (g, x) => build(g, g.neg(x), seed), opset);
        expect(opsOf(after)).toEqual({ Neg: 1, [op]: 1 });
        expect(after.nodes[1]!.attrs).toEqual(attrs);
      }),
      { numRuns: 20, seed: 6 },
    );
  });

  it('are recognised inside products with something else', async () => {
    const after = await opsAfter(activations, [2, 3], (g, x) => g.mul(g.param('up', [3]), g.silu(x)));
    expect(opsOf(after)).toEqual({ Swish: 1, Mul: 1 });
  });

  const near: Record<string, Build> = {
    'erf of another width': (g, x) => g.mul(g.mul(x, 0.5), g.add(g.erf(g.div(x, 1.5)), 1)),
    'another sum': (g, x) => g.mul(g.mul(x, 0.5), g.add(g.erf(g.div(x, Math.SQRT2)), 0.9)),
    'no half': (g, x) => g.mul(x, g.add(g.erf(g.div(x, Math.SQRT2)), 1)),
    'another argument': (g, x) => g.mul(g.mul(x, 0.5), g.add(g.erf(g.div(g.neg(x), Math.SQRT2)), 1)),
    'a square for the cube': (g, x) => {
      const inner = g.mul(g.add(x, g.mul(g.mul(x, x), 0.044715)), Math.sqrt(2 / Math.PI));
      return g.mul(g.mul(x, 0.5), g.add(g.tanh(inner), 1));
    },
    'a gate of another value': (g, x) => g.mul(x, g.sigmoid(g.abs(x))),
    'a shifted gate': (g, x) => g.mul(x, g.sigmoid(g.add(x, 1))),
    'a factor that is fed': (g, x) => g.mul(x, g.sigmoid(g.mul(x, g.input('a', 'float32', [])))),
    'another clip': (g, x) => g.div(g.mul(x, g.op('Clip', [g.add(x, 3), g.scalar(0), g.scalar(5)])[0]!), 6),
    'a number of a higher rank': (g, x) => {
      const one = g.constant({ dtype: 'float32', shape: [1, 1, 1], data: Float32Array.of(1.5) });
      return g.mul(x, g.sigmoid(g.mul(x, one)));
    },
    'a second reader of the inside': (g, x) => {
      const e = g.erf(g.div(x, Math.SQRT2));
      return g.add(g.mul(g.mul(x, 0.5), g.add(e, 1)), e);
    },
  };
  it.each(Object.entries(near))('are not seen in %s', async (_, build) => {
    const after = await opsAfter(activations, [2, 3], build);
    expect(Object.keys(opsOf(after)).filter((op) => /Gelu|Swish|Mish/.test(op))).toEqual([]);
  });

  it('stay apart when the inside is an output of the graph', async () => {
    const g = new GraphBuilder('shown');
    const x = g.input('x', 'float32', [4]);
    const gate = g.sigmoid(x);
    g.output('y', g.mul(x, gate));
    g.output('gate', gate);
    const after = await checkPass(g.build(), activations, { x: drawn([4], 1) });
    expect(opsOf(after)).toEqual({ Sigmoid: 1, Mul: 1 });
  });
});

interface NormForm {
  readonly rank: number;
  readonly over: number;
  readonly size: number;
  readonly centred: boolean;
  readonly power: boolean;
  readonly twice: boolean;
  readonly inverse: 'Div' | 'Reciprocal' | 'one' | 'power';
  readonly swapped: boolean;
  readonly affine: 'none' | 'scale' | 'both';
  readonly negative: boolean;
  readonly opset: number;
}

function norm(g: GraphBuilder, x: Value, c: NormForm): Value {
  const rank = x.shape.length;
  const axes = Array.from({ length: c.over }, (_, i) => (c.negative ? -1 - i : rank - c.over + i));
  const centre = () => g.sub(x, g.reduceMean(x, axes));
  const d = c.centred ? centre() : x;
  const variance = g.reduceMean(c.power ? g.pow(d, 2) : g.mul(d, d), axes);
  const sum = c.swapped ? g.add(1e-3, variance) : g.add(variance, 1e-3);
  const top = c.centred && c.twice ? centre() : d;
  let y: Value;
  if (c.inverse === 'Div') y = g.div(top, g.sqrt(sum));
  else {
    const inverse =
      c.inverse === 'power'
        ? g.pow(sum, -0.5)
        : c.inverse === 'one'
          ? g.div(1, g.sqrt(sum))
          : g.reciprocal(g.sqrt(sum));
    y = c.swapped ? g.mul(inverse, top) : g.mul(top, inverse);
  }
  if (c.affine === 'none') return y;
  const own = x.shape.slice(rank - c.over) as number[];
  y = c.swapped ? g.mul(g.param('scale', own), y) : g.mul(y, g.param('scale', own));
  return c.affine === 'both' ? g.add(y, g.param('shift', own)) : y;
}

const normForm: fc.Arbitrary<NormForm> = fc
  .record({
    rank: fc.integer({ min: 1, max: 4 }),
    over: fc.integer({ min: 1, max: 2 }),
    size: fc.integer({ min: 2, max: 4 }),
    centred: fc.boolean(),
    power: fc.boolean(),
    twice: fc.boolean(),
    inverse: fc.constantFrom('Div', 'Reciprocal', 'one', 'power'),
    swapped: fc.boolean(),
    affine: fc.constantFrom('none', 'scale', 'both'),
    negative: fc.boolean(),
    opset: fc.constantFrom(13, 17, 18, 20),
  })
  .map((c) => ({ ...c, over: Math.min(c.over, c.rank) }) as NormForm);

describe('normalisations', () => {
  it('are recognised in every form', async () => {
    await fc.assert(
      fc.asyncProperty(normForm, async (c) => {
        const shape = Array.from({ length: c.rank }, (_, i) => c.size - (i % 2));
        const after = await opsAfter(norms, shape, (g, x) => norm(g, x, c), c.opset);
        const shift = !c.centred && c.affine === 'both' ? { Add: 1 } : {};
        expect(opsOf(after)).toEqual({
          [c.centred ? 'LayerNormalization' : 'RMSNormalization']: 1,
          ...shift,
        });
      }),
      { numRuns: 150, seed: 8 },
    );
  });

  const plain: NormForm = {
    ...{
      rank: 3,
      over: 1,
      size: 3,
      centred: true,
      power: true,
      twice: false,
      inverse: 'Div',
      swapped: false,
    },
    ...{ affine: 'both', negative: true, opset: 17 },
  };
  it('keep a scale of another shape outside', async () => {
    const build: Build = (g, x) => g.mul(norm(g, x, { ...plain, affine: 'none' }), g.param('s', [3, 1]));
    expect(opsOf(await opsAfter(norms, [2, 3, 4], build))).toEqual({ LayerNormalization: 1, Mul: 1 });
  });

  const near: Record<string, Build> = {
    'another axis': (g, x) => {
      const d = g.sub(x, g.reduceMean(x, [1]));
      return g.div(d, g.sqrt(g.add(g.reduceMean(g.pow(d, 2), [1]), 1e-3)));
    },
    'two axes that differ': (g, x) => {
      const d = g.sub(x, g.reduceMean(x, [-1]));
      return g.div(d, g.sqrt(g.add(g.reduceMean(g.pow(d, 2), [1]), 1e-3)));
    },
    'ε behind the root': (g, x) => {
      const d = g.sub(x, g.reduceMean(x, [-1]));
      return g.div(d, g.add(g.sqrt(g.reduceMean(g.pow(d, 2), [-1])), 1e-3));
    },
    'a cube': (g, x) => g.div(x, g.sqrt(g.add(g.reduceMean(g.pow(g.abs(x), 3), [-1]), 1e-3))),
    'an ε that is fed': (g, x) =>
      g.div(x, g.sqrt(g.add(g.reduceMean(g.pow(x, 2), [-1]), g.abs(g.input('e', 'float32', []))))),
    'the root of something else': (g, x) =>
      g.div(g.neg(x), g.sqrt(g.add(g.reduceMean(g.pow(x, 2), [-1]), 1e-3))),
    'a variance that is read': (g, x) => {
      const variance = g.reduceMean(g.pow(x, 2), [-1]);
      return g.add(g.div(x, g.sqrt(g.add(variance, 1e-3))), variance);
    },
  };
  it.each(Object.entries(near))('are not seen in %s', async (_, build) => {
    const after = await opsAfter(norms, [2, 3, 4], build);
    expect(Object.keys(opsOf(after)).filter((op) => op.endsWith('Normalization'))).toEqual([]);
  });
});

describe('softmax', () => {
  const spelt =
    (axis: number, shift: boolean): Build =>
    (g, x) => {
      const e = g.exp(shift ? g.sub(x, g.reduceMax(x, [axis])) : x);
      return g.div(e, g.reduceSum(e, [axis]));
    };
  it.each([0, 1, -1])('along %s is recognised', async (axis) => {
    for (const shift of [true, false])
      expect(opsOf(await opsAfter(softmax, [2, 3, 4], spelt(axis, shift)))).toEqual({ Softmax: 1 });
  });

  it('keeps a sum over another dimension, or of something else, apart', async () => {
    const other: Build = (g, x) => g.div(g.exp(x), g.reduceSum(g.exp(g.neg(x)), [-1]));
    const two: Build = (g, x) => g.div(g.exp(x), g.reduceSum(g.exp(x), [1, 2]));
    for (const build of [other, two])
      expect(opsOf(await opsAfter(softmax, [2, 3, 4], build)).Softmax).toBeUndefined();
  });
});
