import { type CostContext, type OpContext, type OpEntry, type OpTable, typed } from './entry.ts';

const alongAxis = (since: number): OpEntry => ({
  inputs: [1, 1],
  since,
  infer: (c) => {
    const x = c.in(0);
    if (x.shape.length > 0) c.axis(c.int('axis', -1), x.shape.length);
    return [typed(x.dtype, x.shape)];
  },
});

/**
 * Work per element as fvcore estimates it (fvcore/nn/jit_handles.py), which timm's tables contain: 2 for a batch
 * normalisation with running statistics, 5 where the statistics are computed.
 */
const perElement =
  (work: number) =>
  (c: CostContext): number =>
    c.input(0).reduce((n, d) => n * d, work);

function perChannel(c: OpContext, ...inputs: number[]): void {
  const channels = c.rank(0, [2, 6])[1]!;
  for (const i of inputs) {
    if (c.has(i)) c.same(c.rank(i, 1)[0]!, channels, `length of input ${i} against the channels`);
  }
}

/** Softmax, which counts no multiply–accumulates, and the normalisations. */
export const normalisations: OpTable = {
  Softmax: alongAxis(1),
  LogSoftmax: alongAxis(1),
  Hardmax: alongAxis(1),
  LayerNormalization: {
    inputs: [2, 3],
    outputs: 3,
    since: 17,
    floats: ['epsilon'],
    infer: (c) => {
      const x = c.in(0);
      const axis = c.axis(c.int('axis', -1), x.shape.length);
      for (const i of [1, 2]) {
        if (!c.has(i)) continue;
        const scale = c.rank(i, [1, x.shape.length]);
        scale.forEach((d, at) => {
          const size = x.shape[x.shape.length - scale.length + at]!;
          if (d !== 1) c.same(d, size, `dimension ${at} of input ${i} against the normalised shape`);
        });
      }
      // In float32 by the standard, and in float64 where onnxruntime computes so.
      const statistics = typed(
        x.dtype === 'float64' ? 'float64' : 'float32',
        x.shape.map((d, i) => (i < axis ? d : 1)),
      );
      return [typed(x.dtype, x.shape), statistics, statistics];
    },
    macs: perElement(5),
  },
  BatchNormalization: {
    inputs: [5, 5],
    outputs: 5,
    since: 7,
    floats: ['epsilon', 'momentum'],
    infer: (c) => {
      perChannel(c, 1, 2, 3, 4);
      const x = c.in(0);
      const statistics = typed(c.in(3).dtype, c.shape(3));
      return [typed(x.dtype, x.shape), statistics, statistics, statistics, statistics];
    },
    macs: perElement(2),
  },
  InstanceNormalization: {
    inputs: [3, 3],
    since: 6,
    floats: ['epsilon'],
    infer: (c) => {
      perChannel(c, 1, 2);
      return [typed(c.in(0).dtype, c.shape(0))];
    },
    macs: perElement(5),
  },
  GroupNormalization: {
    inputs: [3, 3],
    since: 18,
    floats: ['epsilon'],
    infer: (c) => [typed(c.in(0).dtype, c.shape(0))],
    macs: perElement(5),
  },
  RMSNormalization: {
    inputs: [2, 2],
    since: 23,
    floats: ['epsilon'],
    infer: (c) => [typed(c.in(0).dtype, c.shape(0))],
  },
  LpNormalization: alongAxis(1),
  MeanVarianceNormalization: { ...alongAxis(9), infer: (c) => [typed(c.in(0).dtype, c.shape(0))] },
  LRN: {
    inputs: [1, 1],
    since: 1,
    floats: ['alpha', 'beta', 'bias'],
    infer: (c) => [typed(c.in(0).dtype, c.shape(0))],
  },
};
