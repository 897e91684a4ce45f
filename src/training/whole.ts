import type { Param } from '../core/graph.ts';
import type { ModelDef, WeightSource, WeightSpec } from '../core/model.ts';
import { openOnnx } from '../graph/onnx/index.ts';
import { seeded } from '../weights/index.ts';

/** Everything that a model's graphs keep under a name: weights and buffers, each once; in one piece what is in blocks. */
export async function parametersOf(model: ModelDef): Promise<readonly Param[]> {
  const found = new Map<string, Param>();
  for (const graph of Object.values(await model.build(model.config))) {
    for (const param of graph.params) {
      const whole = param.packed?.of ?? param;
      if (whole.role !== 'constant' && !found.has(whole.name)) found.set(whole.name, whole);
    }
  }
  return [...found.values()];
}

/**
 * The weights of a model, for any part of them: a training step wants those that are frozen in one place and those that train in
 * another, while a checkpoint is opened for a whole model, since it refuses tensors that nothing wants.
 *
 * A user's own ONNX files give the numbers that lie in them.
 */
export async function wholeWeights(model: ModelDef): Promise<WeightSpec> {
  if (model.files) return fileWeights(Object.values(model.files));
  const spec = model.weights ?? seeded();
  const all = await parametersOf(model);
  return {
    label: spec.label,
    ...(spec.graphs && { graphs: spec.graphs }),
    open: (params, options) => {
      const asked = new Map([...all, ...params].map((p) => [p.name, p]));
      return spec.open([...asked.values()], options);
    },
  };
}

function fileWeights(paths: readonly string[]): WeightSpec {
  const label = `onnx(${paths.join(', ')})`;
  return {
    label,
    open: async () => {
      const sources = new Map<string, WeightSource>();
      const opened: WeightSource[] = [];
      for (const path of paths) {
        const { graph, weights } = await openOnnx(path);
        opened.push(weights);
        for (const { name } of graph.params) if (!sources.has(name)) sources.set(name, weights);
      }
      return {
        ...{ id: opened.map((w) => w.id).join('+'), label, trained: true },
        read: (param, into) => (sources.get(param.name) ?? opened[0]!).read(param, into),
        close: async () => {
          for (const weights of opened) await weights.close();
        },
      };
    },
  };
}
