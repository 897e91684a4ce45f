import type { Config } from '../core/config.ts';
import type { ModelDef } from '../core/model.ts';
import type { Tensors } from '../core/tensor.ts';
import type { Workload } from '../core/workload.ts';
import { GraphBuilder } from '../graph/builder.ts';
import { graphMacs } from './cost.ts';
import { concrete, drawImages } from './inputs.ts';

export interface PeakConfig {
  /** Rows, columns and inner dimension of every product. */
  readonly size: number;
  /** Products one after another, so that the cost of one call doesn't show. */
  readonly chain: number;
}

/**
 * A chain of square matrix products with one weight: nothing but multiply–accumulates at the highest ratio of arithmetic to
 * memory traffic that a network could have. What a backend reaches here is the machine's practical peak; suites are
 * stated as a share of it. The weight's scale keeps the standard deviation at 1 along the chain.
 */
export const matmulPeak: ModelDef<PeakConfig> = {
  name: 'matmul-peak',
  family: 'matmul',
  task: 'classify',
  config: { size: 1024, chain: 8 },
  build({ size, chain }) {
    const b = new GraphBuilder('matmul-peak');
    const weight = b.param('weight', [size, size], { kind: 'uniform', std: 1 / Math.sqrt(size) });
    let x = b.input('x', 'float32', [size, size]);
    for (let i = 0; i < chain; i++) x = b.matmul(x, weight);
    b.output('y', x);
    return { model: b.build() };
  },
};

export interface ConvPeakConfig {
  readonly channels: number;
  /** Height and width of the square feature maps. */
  readonly size: number;
  readonly chain: number;
}

/** A chain of 3×3 convolutions at the shape of a ResNet's middle: on CPUs their kernels can outrun the matrix product's. */
export const convPeak: ModelDef<ConvPeakConfig> = {
  name: 'conv-peak',
  family: 'conv',
  task: 'classify',
  config: { channels: 128, size: 56, chain: 6 },
  build({ channels, size, chain }) {
    const b = new GraphBuilder('conv-peak');
    const std = 1 / Math.sqrt(9 * channels);
    let x = b.input('x', 'float32', [1, channels, size, size]);
    for (let i = 0; i < chain; i++) {
      const weight = b.param(`${i}.weight`, [channels, channels, 3, 3], { kind: 'uniform', std });
      x = b.conv(x, weight, null, { pads: [1, 1, 1, 1] });
    }
    b.output('y', x);
    return { model: b.build() };
  },
};

/**
 * One row times a matrix that no cache holds: every weight is read once for one multiply–accumulate, as in decoding, so its time is
 * the memory's.
 */
export const streamPeak: ModelDef<{ readonly size: number }> = {
  name: 'stream-peak',
  family: 'matmul',
  task: 'classify',
  config: { size: 8192 },
  build({ size }) {
    const b = new GraphBuilder('stream-peak');
    const weight = b.param('weight', [size, size], { kind: 'uniform', std: 1 / Math.sqrt(size) });
    b.output('y', b.matmul(b.input('x', 'float32', [1, size]), weight));
    return { model: b.build() };
  },
};

/** Runs a one-input graph as it is and states GFLOP/s. Batch plays no part: the product's size is the model's. */
export const product: Workload<Readonly<Record<string, never>>> = {
  name: 'product',
  metrics: [{ name: 'gflops', unit: 'GFLOP/s', better: 'higher', assume: 'nothing', of: 'flops' }],

  macs: (_params, _batch, model) => graphMacs(model, 'model', () => model.dims ?? {}),

  async open(job) {
    const session = await job.open('model');
    const feeds: Tensors = {};
    for (const input of session.inputs) {
      feeds[input.name] = drawImages(input, concrete(input, job.model.dims ?? {}), job.seed);
    }
    return {
      async *steps() {
        yield { phase: 'matmul', items: 1, run: () => session.run(feeds) };
      },
      outputs: () => session.run(feeds),
      close: () => session.close(),
    };
  },
};

/** For `peak` of a config: what every backend is asked first, so that suites can state shares of the better one. */
export const peak = [matmulPeak, convPeak].map((model) => ({
  model,
  use: { workload: product, params: {}, batches: [{ size: 1 }] },
})) satisfies Config['peak'];
