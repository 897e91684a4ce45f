import type { ValueInfo } from '../core/graph.ts';
import { seedOf, splitmix32 } from '../core/random.ts';
import { elementCount, type Tensors, tensor, toFloat16 } from '../core/tensor.ts';

/**
 * The masks of a step: 0 for a share `dropout` of the elements, 1 ÷ (1 − dropout) for the others. They depend on seed, step,
 * name and place alone, so every backend trains on the same ones, and a resumed run on those that it would have had.
 *
 * @param masks inputs as `addLora` gives them, all of whose sizes are numbers
 */
export function dropoutMasks(
  masks: readonly ValueInfo[],
  { dropout, seed, step }: { readonly dropout: number; readonly seed: number; readonly step: number },
): Tensors {
  const limit = dropout * 2 ** 32;
  const made: Tensors = {};
  for (const { name, dtype, shape } of masks) {
    const next = splitmix32(seedOf(`${step} ${name}`, seed));
    const sizes = shape as readonly number[];
    const length = elementCount(sizes);
    const passes = 1 / (1 - dropout);
    const data = dtype === 'float16' ? new Uint16Array(length) : new Float32Array(length);
    const value = dtype === 'float16' ? toFloat16(passes) : passes;
    for (let i = 0; i < length; i++) data[i] = next() < limit ? 0 : value;
    made[name] = tensor(dtype, sizes, data);
  }
  return made;
}
