import type { Node, Param } from '../../core/graph.ts';
import { elementCount, float32, type Tensor } from '../../core/tensor.ts';
import { numberAttr, textAttr } from '../../graph/kernels/kernel.ts';
import { windowOf } from '../../graph/kernels/window.ts';
import type { Engine } from './engine.ts';
import { kernelOf } from './kernels/index.ts';
import { type Call, ran } from './kernels/kernel.ts';
import { FEWEST_BYTES } from './spent.ts';
import { dispose, type Value } from './value.ts';

/** Larger than any padding: no window is too large for it. */
const WIDE = 2 ** 24;
/** Elements of an input that is made for packing. Dilations may ask for an image of any size. */
const MOST = 2 ** 20;

/**
 * Whether a node packs a weight (`spent.ts`) in the same way whatever its other input is, so that it can be packed before the first
 * run: the weights are then never all there twice.
 */
export function packsAhead(engine: Engine, node: Node, { name, dtype, shape }: Param): boolean {
  if (engine.name !== 'wasm' || dtype !== 'float32' || elementCount(shape) * 4 < FEWEST_BYTES) return false;
  return node.inputs[1] === name && node.inputs[0] !== name && smallestInput(node, shape) !== null;
}

/** The shape of the smallest first input that a weight goes with; null where the node doesn't pack, or not always alike. */
function smallestInput(node: Node, weight: readonly number[]): readonly number[] | null {
  const site = { node, opset: 0, inputs: [] };
  const { op } = node;
  if (op === 'Conv' || op === 'FusedConv') {
    if (weight.length !== 4 || numberAttr(site, 'group', 1) !== 1) return null;
    // Padding that follows from the image's size may be another for the next image.
    if (!/^(NOTSET|VALID)$/.test(textAttr(site, 'auto_pad', 'NOTSET'))) return null;
    const kernel = weight.slice(2);
    const { begin, end, dilations } = windowOf(site, [WIDE, WIDE], kernel);
    const side = (axis: number): number =>
      Math.max(1, (kernel[axis]! - 1) * dilations[axis]! + 1 - begin[axis]! - end[axis]!);
    const image = [1, weight[1]!, side(0), side(1)];
    return elementCount(image) <= MOST ? image : null;
  }
  if ((op !== 'MatMul' && op !== 'Gemm' && op !== 'FusedMatMul') || weight.length !== 2) return null;
  const depth = weight[numberAttr(site, 'transB', 0) === 1 ? 1 : 0]!;
  return numberAttr(site, 'transA', 0) === 1 ? [depth, 1] : [1, depth];
}

/** Runs a node once, on zeros. What it cannot do it will say when it is run. */
export function packAhead(
  engine: Engine,
  opset: number,
  node: Node,
  values: ReadonlyMap<string, Value>,
): void {
  const shape = smallestInput(node, values.get(node.inputs[1]!)!.shape)!;
  const zeros: Value = { dtype: 'float32', shape, fixed: false, host: zerosOf(shape) };
  const inputs = node.inputs.map((name, i) => (i === 0 ? zeros : values.get(name)));
  // A bias that is computed is packed with the weight, in the first run.
  if (node.inputs.some((name, i) => name !== '' && !inputs[i])) return;
  const { tf } = engine;
  const call: Call = { node, opset, inputs, engine, tf, dies: () => false };
  try {
    for (const { device } of ran(call, kernelOf(node)!.run)) device?.dispose();
  } catch {
    // The run says it with the node's name, as it does of everything else.
  } finally {
    dispose(zeros);
  }
}

const zerosOf = (shape: readonly number[]): Tensor => float32(shape, new Float32Array(elementCount(shape)));
