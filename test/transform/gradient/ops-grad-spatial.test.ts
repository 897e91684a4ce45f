import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Attribute, Graph } from '../../../src/core/graph.ts';
import { type Tensors, toNumbers } from '../../../src/core/tensor.ts';
import { GraphBuilder, type Value } from '../../../src/graph/builder.ts';
import { interpret } from '../../../src/graph/interpret.ts';
import { gradient } from '../../../src/transform/gradient/index.ts';
import { trainBatchNorm } from '../../../src/transform/train-batchnorm.ts';
import { readSafetensors } from '../../../src/weights/index.ts';

const folder = join(import.meta.dirname, '../../fixtures/ops-grad');
const tensors = await readSafetensors(join(folder, 'io.safetensors'));

interface Case {
  readonly name: string;
  readonly op: string;
  readonly attrs: Readonly<Record<string, Attribute>>;
  readonly inputs: readonly string[];
  readonly grads: readonly string[];
}

const SPATIAL = /^(conv|maxpool|avgpool|global_|layernorm|rmsnorm|batchnorm|groupnorm|resize)/;
const cases = (JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')).cases as Case[]).filter(
  // What else the second needs has tests of its own.
  ({ name }) => SPATIAL.test(name) && name !== 'layernorm_channels_first',
);

/** Sizes of the result for Resize, its attributes in full, and operators by the names that ONNX has for them. */
function forward(g: GraphBuilder, c: Case, inputs: readonly Value[]): Value {
  const { momentum_torch: _, ...attrs } = c.attrs;
  if (c.name.startsWith('resize')) {
    const sizes = g.ints(tensors[`${c.name}/output.y`]!.shape as number[]);
    const how = /bilinear/.test(c.name)
      ? { mode: 'linear', coordinate_transformation_mode: 'half_pixel' }
      : { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
    return g.op('Resize', [inputs[0]!, null, null, sizes], how)[0]!;
  }
  if (c.name === 'rmsnorm') return g.layerNorm(inputs[0]!, inputs[1]!, null, { epsilon: 1e-5 });
  if (c.name.startsWith('batchnorm')) return g.op(c.op, inputs, { epsilon: attrs.epsilon! })[0]!;
  return g.op(c.op.split(' ')[0]!, inputs, attrs)[0]!;
}

describe('PyTorch in float64', () => {
  it.each(cases.map((c) => [c.name, c] as const))('%s', (name, c) => {
    const feeds: Tensors = { upstream: tensors[`${name}/upstream.y`]! };
    const g = new GraphBuilder(name, { opset: 21 });
    const inputs = c.inputs.map((input) => {
      const t = tensors[`${name}/input.${input}`]!;
      feeds[input] = t;
      return input.startsWith('running')
        ? g.param(input, t.shape, undefined, { role: 'buffer' })
        : g.input(input, 'float32', t.shape);
    });
    const y = forward(g, c, inputs);
    g.output('y', y);
    const upstream = g.input('upstream', 'float32', y.shape);
    g.output('loss', g.reduceSum(g.mul(y, upstream), undefined, false));
    const graph = prepared(g.build(), c);
    const made = interpret(gradient(graph, 'loss', c.grads), feeds, feeds);
    const wanted: Record<string, string> = Object.fromEntries([
      ['y', 'output.y'],
      ...c.grads.map((input) => [`grad.${input}`, `grad.${input}`]),
      ...graph.outputs.flatMap((o) =>
        o.name.startsWith('next/') ? [[o.name, `output.${o.name.slice('next/'.length)}`]] : [],
      ),
    ]);
    expect(Object.keys(wanted).length).toBe(1 + c.grads.length + (name === 'batchnorm_train' ? 2 : 0));
    for (const [ours, theirs] of Object.entries(wanted)) {
      const [a, b] = [made[ours]!, tensors[`${name}/${theirs}`]!];
      expect(a.shape, ours).toEqual(b.shape);
      const [x, reference] = [toNumbers(a), toNumbers(b)];
      const off = x.reduce((most, v, i) => Math.max(most, Math.abs(v - reference[i]!)), 0);
      expect(off, ours).toBeLessThan(1e-4);
    }
  });
});

function prepared(graph: Graph, c: Case): Graph {
  if (c.name === 'batchnorm_train') return trainBatchNorm(graph).graph;
  if (c.name !== 'rmsnorm') return graph;
  // The builder makes no operators of opset 23, but our passes do.
  const nodes = graph.nodes.map((n) =>
    n.op === 'LayerNormalization' ? { ...n, op: 'RMSNormalization' } : n,
  );
  return { ...graph, nodes };
}
