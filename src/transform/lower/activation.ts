import type { GraphBuilder, Value } from '../../graph/builder.ts';
import { MICROSOFT } from '../../graph/ops/index.ts';
import type { Lowering, LoweringTable } from './lowering.ts';

const tanhGelu = (g: GraphBuilder, x: Value): Value => {
  const inner = g.mul(g.add(x, g.mul(g.mul(g.mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI));
  return g.mul(g.mul(x, g.add(g.tanh(inner), 1)), 0.5);
};

const approximate = (s: Parameters<Lowering>[0]): boolean => s.text('approximate', 'none') === 'tanh';

/** Activations that are newer than opset 17, in elementary operators: one pass over memory each on a processor. */
export const activations: LoweringTable = {
  Gelu: (s) => [approximate(s) ? tanhGelu(s.g, s.in(0)) : s.g.gelu(s.in(0))],
  Swish: (s) => {
    const [x, alpha] = [s.in(0), s.float('alpha', 1)];
    return [s.g.mul(x, s.g.sigmoid(alpha === 1 ? x : s.g.mul(x, alpha)))];
  },
  Mish: (s) => [s.g.mul(s.in(0), s.g.tanh(s.g.op('Softplus', [s.in(0)])[0]!))],
};

const own = (s: Parameters<Lowering>[0], op: string, attrs = {}): Value[] =>
  s.g.op(op, [s.in(0)], attrs, { domain: MICROSOFT });

/** The same as onnxruntime's own operators, one pass each, on its cpu and its WebGPU. */
export const ownActivations: LoweringTable = {
  Gelu: (s) => own(s, approximate(s) ? 'FastGelu' : 'Gelu'),
  Swish: (s) => own(s, 'QuickGelu', { alpha: s.float('alpha', 1) }),
};
