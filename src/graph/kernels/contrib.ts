import { fusions } from './fused.ts';
import { type Call, type Kernel, type KernelTable, numberAttr, refuse } from './kernel.ts';
import { unary } from './unary.ts';

/** A standard operator with other attributes. */
const as =
  (op: string, attrs: (c: Call) => Call['node']['attrs']): Kernel =>
  (c) =>
    unary[op]!({ ...c, node: { ...c.node, op, attrs: attrs(c) } });

/** onnxruntime's own operators, see `ops/contrib.ts`. */
export const contrib: KernelTable = {
  Gelu: as('Gelu', () => ({})),
  FastGelu: as('Gelu', (c) => (c.inputs[1] ? refuse(c, 'a bias') : { approximate: 'tanh' })),
  QuickGelu: as('Swish', (c) => ({ alpha: numberAttr(c, 'alpha', 1.702) })),
  FusedMatMul: fusions.FusedMatMul!,
};
