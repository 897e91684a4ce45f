import { GraphBuilder } from '../../src/graph/builder.ts';
import { defineModel } from '../../src/index.ts';

/** A model in one file: hyperparameters, and the function that turns them into a graph. */
export const edgeNet = (name: string, width: number) =>
  defineModel({
    name,
    family: 'edge-net',
    task: 'classify',
    config: { width, classes: 4, image: 16 },
    build({ width, classes, image }) {
      const g = new GraphBuilder(name);
      const pixels = g.input('pixel_values', 'float32', ['batch', 3, image, image]);
      const kernel = g.param('stem.weight', [width, 3, 3, 3], { kind: 'uniform', std: 0.2 });
      const features = g.relu(g.conv(pixels, kernel, null, { strides: [2, 2], pads: [1, 1, 1, 1] }));
      const head = g.param('head.weight', [classes, width], { kind: 'uniform', std: 0.3 });
      const bias = g.param('head.bias', [classes], { kind: 'constant', value: 0 });
      g.output('logits', g.gemm(g.flatten(g.globalAveragePool(features), 1), head, bias, { transB: 1 }));
      return { model: g.build() };
    },
    preprocess: {
      resize: { height: 16, width: 16 },
      kernel: 'bilinear',
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
    },
  });
