import type * as Tf from '@tensorflow/tfjs-core';
import { isFloat, type Value } from '../value.ts';
import { isAlone, WASM_ADD_OVER, WASM_RELU_OVER } from '../wasm-over.ts';
import { alreadyAlike, one, two } from './broadcast.ts';
import { type Call, call, device, input, type Kernel, type KernelTable, kernel, made } from './kernel.ts';

/** Whether an input's data may be written over: on wasm, where there are kernels that do. */
function isSpare(c: Call, at: number): boolean {
  const value = input(c, at);
  return c.engine.name === 'wasm' && isFloat(value.dtype) && c.dies(at) && isAlone(c.tf, device(c, value));
}

const over = (c: Call, name: string, value: Value, inputs: Tf.NamedTensorMap) =>
  made(call(c.tf, name, inputs), value.dtype, value.order);

const plainSum = two((a, b, { tf }) => tf.add(a, b));
const sum: Kernel = kernel((c) => {
  const [a, b] = [input(c, 0), input(c, 1)];
  if (a === b || a.shape.includes(0) || !alreadyAlike(a, b)) return plainSum.run(c);
  const at = [0, 1].find((i) => isSpare(c, i));
  if (at === undefined) return plainSum.run(c);
  const [under, other] = at === 0 ? [a, b] : [b, a];
  return [over(c, WASM_ADD_OVER, under, { a: device(c, under), b: device(c, other) })];
});

const plainRelu = one((x, { tf }) => tf.relu(x));
const relu: Kernel = kernel((c) => {
  const x = input(c, 0);
  if (x.shape.includes(0) || !isSpare(c, 0)) return plainRelu.run(c);
  return [over(c, WASM_RELU_OVER, x, { x: device(c, x) })];
});

/** Operators that write over an operand which nobody reads after them. */
export const overwriting: KernelTable = { Add: sum, Relu: relu };
