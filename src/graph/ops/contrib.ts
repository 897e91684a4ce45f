import { type OpEntry, type OpTable, typed } from './entry.ts';
import { fused } from './fused.ts';

const activation = (inputs: number, floats?: readonly string[]): OpEntry => ({
  inputs: [1, inputs],
  since: 1,
  ...(floats && { floats }),
  infer: (c) => [typed(c.in(0).dtype, c.shape(0))],
});

/**
 * onnxruntime's own operators (docs/ContribOperators.md, `com.microsoft`). FusedMatMul is alpha · a′ b′, with the last two dimensions
 * of an operand exchanged where `transA` and `transB` say so. Activations are each one pass where the standard operators before
 * opset 20 need several: Gelu by the error function; FastGelu of x plus a bias, by the hyperbolic tangent; QuickGelu x·σ(αx) with
 * α = 1.702 unless given.
 */
export const contrib: OpTable = {
  Gelu: activation(1),
  FastGelu: activation(2),
  QuickGelu: activation(1, ['alpha']),
  FusedMatMul: { ...fused.FusedMatMul!, inputs: [2, 2], floats: ['alpha'] },
};
