import type { ModelDef } from '../../src/core/model.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';

/** Two graphs that share a linear layer. */
export function tinyModel(name: string, width = 8): ModelDef {
  const head = (g: GraphBuilder, x: ReturnType<GraphBuilder['input']>) => {
    const weight = g.param('fc.weight', [4, width], { kind: 'uniform', std: 0.3 });
    const bias = g.param('fc.bias', [4], { kind: 'constant', value: 0.25 });
    return g.gemm(x, weight, bias, { transB: 1 });
  };
  return {
    name,
    family: 'tiny',
    task: 'classify',
    config: {},
    build: () => {
      const whole = new GraphBuilder('whole');
      const x = whole.input('x', 'float32', ['batch', 3]);
      const stem = whole.param('stem.weight', [width, 3], { kind: 'uniform', std: 0.5 });
      whole.output('y', head(whole, whole.relu(whole.gemm(x, stem, undefined, { transB: 1 }))));
      const part = new GraphBuilder('part');
      part.output('y', head(part, part.input('x', 'float32', ['batch', width])));
      return { model: whole.build(), head: part.build() };
    },
  };
}
