import type * as Tf from '@tensorflow/tfjs-core';
import { VersusError } from '../../../core/errors.ts';
import type { Node } from '../../../core/graph.ts';
import { allocate, type DType, elementCount, type Tensor, toNumbers } from '../../../core/tensor.ts';
import type { Engine } from '../engine.ts';
import { identity, isIdentity, type Order, permutation, sameOrder } from '../order.ts';
import { unspent } from '../spent.ts';
import { turned } from '../turn.ts';
import { engineType, isFloat, type Value } from '../value.ts';
import { WASM_SLICE } from '../wasm-slice.ts';

/** One node being computed on an engine. */
export interface Call {
  readonly node: Node;
  /** The standard operator set's version that the node's attributes follow. */
  readonly opset: number;
  readonly inputs: readonly (Value | undefined)[];
  readonly engine: Engine;
  readonly tf: typeof Tf;
  /** Whether nobody reads an input after this node, so that it may be written over. */
  dies(at: number): boolean;
}

/**
 * Computes an operator's outputs in their order. Runs inside a `tidy`: whatever is not among the results is freed.
 * Results that are an input's own tensor are to be cloned (`same`).
 */
export type Run = (c: Call) => readonly Made[];

/** What a kernel makes; whether it is fixed, the executor knows. */
export type Made = Omit<Value, 'fixed' | 'sole'>;

export interface Kernel {
  readonly run: Run;
  /** Inputs whose numbers the kernel needs on the host (shapes, axes, pads): `host` is there when it runs. */
  readonly reads?: readonly number[];
  /**
   * Whether the host computes a call, exactly, whatever lies on the engine; `atHost` when left out. Only where the reference
   * interpreter has the operator.
   */
  readonly host?: (inputs: readonly (Value | undefined)[], node: Node) => boolean;
  /** Why a node can't be run, if that is seen before it runs: an attribute that no engine has. */
  readonly refuses?: (node: Node, engine: Engine['name']) => string | null;
}
export type KernelTable = Readonly<Record<string, Kernel>>;

/** A kernel that reads nothing on the host. */
export const kernel = (run: Run): Kernel => ({ run });

/**
 * What no engine does as ONNX wants it: whole numbers (engines compute them by way of float32, so that they are inexact from
 * 2^24 on) and tensors without elements (kernels refuse them, or read what is not there).
 */
export const atHost = (inputs: readonly (Value | undefined)[], data = 0): boolean =>
  isWhole(inputs[data]) || inputs.some((value) => value?.shape.includes(0));

const isWhole = (value: Value | undefined): boolean =>
  !!value && !isFloat(value.dtype) && value.dtype !== 'bool';

/** As the reference interpreter: results beyond this are refused, so that a hostile shape cannot take the machine's memory. */
const MOST_ELEMENTS = 2 ** 28;

/** A shape that a kernel was asked for. @throws VersusError `input` where no tensor has it */
export function sized<T extends readonly number[]>(c: Pick<Call, 'node'>, shape: T): T {
  if (shape.every((d) => Number.isInteger(d) && d >= 0) && elementCount(shape) <= MOST_ELEMENTS) return shape;
  return fail(c, `cannot make a tensor of shape [${shape.join(', ')}]`);
}

/** A result without elements. */
export const nothing = (dtype: DType, shape: readonly number[]): Made => ({
  dtype,
  shape,
  host: { dtype, shape, data: allocate(dtype, 0) },
});

/** @throws VersusError `input` that names operator and node */
export function fail(c: Pick<Call, 'node'>, message: string): never {
  throw new VersusError('input', `${c.node.op}: ${message}`, {
    where: `node ${c.node.name || c.node.outputs[0]}`,
  });
}

/** @throws VersusError `unsupported`: the graph is right, the engine cannot do it; the executor adds operator and opset */
export function refuse(c: Pick<Call, 'node'>, why: string): never {
  throw new VersusError('unsupported', why, { where: `node ${c.node.name || c.node.outputs[0]}` });
}

export function input(c: Call, index: number): Value {
  return c.inputs[index] ?? fail(c, `input ${index} is missing`);
}

/** A value's tensor on the engine in whatever order it lies; uploaded when it was on the host only. */
export function device(c: Call, value: Value): Tf.Tensor {
  // What is put there stays with the value, beyond this kernel.
  if (!value.device) value.device = c.tf.keep(value.host ? upload(c, value.host) : restored(c, value));
  return value.device;
}

/** The same data under another shape, for one kernel: kernels ask an input for its data and its shape, and nothing else. */
export const seenAs = ({ dataId, dtype }: Tf.Tensor, shape: number[]): Tf.Tensor =>
  ({ dataId, dtype, shape }) satisfies Tf.TensorInfo as Tf.Tensor;

/**
 * A kernel of tfjs without tfjs's own functions around it (gradients, profiles, checks), which take longer than a small
 * convolution. @param shape what the result is seen as, where that is another than the kernel gives it
 */
export function call(
  tf: typeof Tf,
  name: string,
  inputs: Tf.NamedTensorInfoMap,
  attrs: object = {},
  shape?: number[],
): Tf.Tensor {
  const engine = tf.engine();
  const { kernelFunc } = tf.getKernel(name, engine.backendName);
  const info = kernelFunc({
    inputs,
    attrs: attrs as Tf.NamedAttrMap,
    backend: engine.backend,
  }) as Tf.TensorInfo;
  // Where tfjs's kernels are made of its functions, the result is tracked already.
  const tensor = 'rank' in info ? (info as Tf.Tensor) : null;
  if (!tensor) return engine.makeTensorFromTensorInfo(shape ? { ...info, shape } : info);
  return shape ? tf.reshape(tensor, shape) : tensor;
}

/** A cut of a tensor that has elements, and of which some are left. */
export function cutOut<T extends Tf.Tensor>(
  { tf, engine }: Pick<Call, 'tf' | 'engine'>,
  x: T,
  begin: number[],
  size: number[],
): T {
  if (engine.name !== 'wasm') return tf.slice(x, begin, size);
  return call(tf, WASM_SLICE, { x }, { begin, size }) as T;
}

/** The order in which a value's axes lie. */
export const orderOf = (value: Value): Order => value.order ?? identity(value.shape.length);

/** A value's tensor with its axes as the graph has them. */
export const plain = (c: Call, value: Value): Tf.Tensor => laid(c, value, identity(value.shape.length));

/**
 * A value's tensor with its axes in `order`. What is fixed keeps the form that it was given once, and a parameter with one
 * reader keeps nothing else.
 */
export function laid(c: Call, value: Value, order: Order): Tf.Tensor {
  const from = orderOf(value);
  if (sameOrder(from, order)) return device(c, value);
  const move = (): Tf.Tensor => turned(c.tf, unspent(device(c, value)), permutation(from, order));
  if (!value.fixed) return move();
  const moved = form(c, value, ORDER + order, move);
  if (value.sole && value.device) {
    value.device.dispose();
    value.device = undefined;
  }
  return moved;
}

const ORDER = 'order ';

/** The tensor of a value of which only forms in other orders are left. */
function restored(c: Call, value: Value): Tf.Tensor {
  const [name, form] = [...value.forms!].find(([key]) => key.startsWith(ORDER))!;
  return turned(
    c.tf,
    unspent(form),
    permutation(name.slice(ORDER.length).split(',').map(Number), orderOf(value)),
  );
}

/** Another form of a fixed value, made once and kept with it; of any other value, made now. */
export function form(c: Call, value: Value, name: string, make: () => Tf.Tensor): Tf.Tensor {
  if (!value.fixed) return make();
  value.forms ??= new Map();
  let made = value.forms.get(name);
  if (!made) {
    made = c.tf.keep(c.tf.tidy(make));
    value.forms.set(name, made);
  }
  return made;
}

/** A result on the engine whose axes lie in `order` (as the graph has them, when left out). */
export function made(tensor: Tf.Tensor, dtype: DType, order?: Order): Made {
  if (isIdentity(order)) return { dtype, shape: tensor.shape, device: tensor };
  const shape = new Array<number>(tensor.shape.length);
  order!.forEach((axis, place) => {
    shape[axis] = tensor.shape[place]!;
  });
  return { dtype, shape, device: tensor, order: order! };
}

/** A result that is an input under another shape, order or type, its data shared. */
export const same = (c: Call, tensor: Tf.Tensor, dtype: DType, order?: Order): Made =>
  made(c.tf.clone(tensor), dtype, order);

/**
 * Whole numbers and bools of the engine as float32. On webgpu tfjs's cast gives the same bits another name, which the next
 * kernel may take for floats; a product is computed.
 */
export function floats({ tf, engine }: Pick<Call, 'tf' | 'engine'>, x: Tf.Tensor): Tf.Tensor {
  if (x.dtype === 'float32') return x;
  const cast = tf.cast(x, 'float32');
  return engine.name === 'webgpu' ? tf.reshape(tf.mul(tf.reshape(cast, [-1]), 1), x.shape) : cast;
}

/** The numbers of a small input that lies on the host; undefined when it is left out. */
export function ints(c: Call, index: number): number[] | undefined {
  const value = c.inputs[index];
  if (!value) return undefined;
  if (!value.host) fail(c, `input ${index} is not on the host`);
  return Array.from(value.host!.data as ArrayLike<number | bigint>, Number);
}

const INT32 = 2 ** 31;

/** Puts a tensor of the host on the engine. @throws VersusError `unsupported` for whole numbers beyond int32 */
export function upload(c: Pick<Call, 'tf' | 'node'>, tensor: Tensor): Tf.Tensor {
  const shape = tensor.shape as number[];
  const type = engineType(tensor.dtype);
  if (type === 'float32') {
    const data =
      tensor.dtype === 'float32' ? (tensor.data as Float32Array) : Float32Array.from(toNumbers(tensor));
    return c.tf.tensor(data, shape, 'float32');
  }
  if (type === 'bool') return c.tf.tensor(tensor.data as Uint8Array, shape, 'bool');
  const data = new Int32Array(elementCount(shape));
  for (let i = 0; i < data.length; i++) {
    const n = Number(tensor.data[i]);
    if (n >= INT32 || n < -INT32) refuse(c, `the whole number ${n} (beyond 32 bits)`);
    data[i] = n;
  }
  return c.tf.tensor(data, shape, 'int32');
}

/** Runs a kernel and frees all that it made besides the results that the node names. */
export function ran(call: Call, run: Run): readonly Made[] {
  const engine = call.tf.engine();
  engine.startScope();
  try {
    const made = run(call);
    for (let i = 0; i < made.length; i++) {
      const { device } = made[i]!;
      if (device && call.node.outputs[i]) engine.keep(device);
    }
    return made;
  } finally {
    engine.endScope();
  }
}
