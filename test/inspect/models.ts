import type { Graph, ModelDef, Node, Param } from '../../src/index.ts';
import { model } from '../../src/zoo/index.ts';
import { buildLlava, type LlavaConfig } from '../../src/zoo/llava.ts';

/** A LLaVA with parts, whatever the member of that name says of itself. */
export const llava: ModelDef<LlavaConfig> = {
  ...{ name: 'llava', family: 'llava', task: 'generate', build: buildLlava },
  config: model('llava-tiny').config as LlavaConfig,
  dims: { sequence: 128, past: 0 },
  parts: { vision: ['vision_tower'], 'cross-modal': ['multi_modal_projector'], text: ['language_model'] },
};

export const weight = (name: string, shape: readonly number[] = [2]): Param => ({
  ...{ name, shape, dtype: 'float32', role: 'weight' },
});

/** A graph of those parameters, as it may come out of a file. */
export function graphOf(params: readonly Param[], nodes: readonly Node[] = []): Graph {
  return {
    ...{ name: 'g', opset: { '': 17 }, params, nodes },
    inputs: [{ name: 'x', dtype: 'float32', shape: [2] }],
    outputs: [{ name: 'x', dtype: 'float32', shape: [2] }],
  };
}

export function foreign(params: readonly Param[], nodes: readonly Node[] = []): ModelDef {
  const build = () => ({ model: graphOf(params, nodes) });
  return { name: 'file.onnx', family: 'onnx', task: 'classify', config: {}, build };
}
