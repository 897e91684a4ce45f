import type { Graph, Node, Param } from '../../core/graph.ts';
import { bytesPerElement, elementCount, type Tensor, toNumbers } from '../../core/tensor.ts';
import type { Engine } from './engine.ts';
import { filtersLast } from './filters-last.ts';
import { upload } from './kernels/kernel.ts';
import { identity } from './order.ts';
import { packAhead, packsAhead } from './packing.ts';
import type { Weights } from './prepare.ts';
import { dispose, isFloat, type Value } from './value.ts';
import { writtenOnWasm } from './wasm-memory.ts';

/** Small tensors stay on the host: shapes, axes, scalars, what is folded into tables. */
const SMALL = 256;

/** Larger ones are not read ahead: two of them would be in memory at once. */
const AHEAD_BYTES = 16 << 20;

/**
 * The parameters of a graph as values. Weights go to the engine one by one, in the order in which their reader wants them, and leave
 * the host, where the next one is read meanwhile. What the engine packs is packed at once, the largest first: the next
 * one then comes to lie where it lay.
 *
 * @param params is emptied on the way, so that numbers that it carries can go as well
 */
export async function constants(
  graph: Graph,
  params: Param[],
  numbers: Pick<Weights, 'read' | 'borrow'>,
  engine: Engine,
  opset: number,
): Promise<ReadonlyMap<string, Value>> {
  const readers = readersOf(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const goes = ({ dtype, shape }: Param): boolean => isFloat(dtype) && elementCount(shape) > SMALL;
  const light: Param[] = [];
  const heavy: Param[] = [];
  const soleReader = new Map<string, Node>();
  for (let param = params.pop(); param; param = params.pop()) {
    const nodes = readers.get(param.name) ?? [];
    const isOutput = outputs.has(param.name);
    if (nodes.length === 0 && !isOutput) continue;
    const sole = nodes.length === 1 && !isOutput ? nodes[0]! : null;
    if (sole) soleReader.set(param.name, sole);
    (sole && packsAhead(engine, sole, param) ? heavy : light).push(param);
  }
  heavy.sort((a, b) => elementCount(a.shape) - elementCount(b.shape));
  const values = new Map<string, Value>();
  const put = (param: Param, tensor: Tensor): void => {
    const { name, dtype, shape } = param;
    const sole = soleReader.get(name);
    const common = { dtype, shape, fixed: true, ...(sole ? { sole: true as const } : {}) };
    values.set(name, {
      ...common,
      ...(goes(param) ? placed(engine, param, tensor, sole) : { host: tensor }),
    });
  };
  const borrow = engine.copies ? numbers.borrow : undefined;
  const read = (param: Param): Promise<Tensor> =>
    borrow && goes(param) ? borrow(param) : numbers.read(param);
  try {
    for await (const [param, tensor] of inTurn(light, read)) put(param, tensor);
    for await (const [param, tensor] of inTurn(heavy, read)) {
      put(param, tensor);
      packAhead(engine, opset, soleReader.get(param.name)!, values);
    }
    return values;
  } catch (error) {
    for (const value of values.values()) dispose(value);
    throw error;
  }
}

/** The last of `params` first, each with its numbers, while those of the one after it are read. @param params is emptied */
async function* inTurn(
  params: Param[],
  read: (param: Param) => Promise<Tensor>,
): AsyncGenerator<readonly [Param, Tensor], void> {
  const begin = () => {
    const param = params.pop();
    if (!param) return null;
    const tensor = read(param);
    // Who asks for it hears why it could not be read.
    tensor.catch(() => {});
    return { param, tensor };
  };
  let next: ReturnType<typeof begin> = null;
  try {
    for (let now = begin(); now; now = next ?? begin()) {
      next = null;
      const tensor = await now.tensor;
      if (isSmall(now.param) && isSmall(params.at(-1))) next = begin();
      yield [now.param, tensor];
    }
  } finally {
    // Its source is closed only when nobody reads any more.
    await next?.tensor.catch(() => {});
  }
}

const isSmall = (param: Param | undefined): boolean =>
  param !== undefined && elementCount(param.shape) * bytesPerElement(param.dtype) <= AHEAD_BYTES;

function readersOf(graph: Graph): ReadonlyMap<string, readonly Node[]> {
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const name of new Set(node.inputs)) {
      const known = readers.get(name);
      if (known) known.push(node);
      else readers.set(name, [node]);
    }
  }
  return readers;
}

/** On the engine, its axes in the order that its reader wants. */
function placed(
  engine: Engine,
  { name }: Param,
  tensor: Tensor,
  reader: Node | undefined,
): Pick<Value, 'device' | 'order'> {
  const put = (laid: Tensor) => upload({ tf: engine.tf, node: { ...NONE, name } }, laid);
  if (!reader || !takesFiltersLast(reader, name, tensor.shape)) return { device: put(tensor) };
  const { shape, dtype, data } = tensor;
  const numbers = dtype === 'float32' ? (data as Float32Array) : Float32Array.from(toNumbers(tensor));
  const [filters, channels, ...taps] = shape as [number, number, ...number[]];
  const write = (into: Float32Array) => filtersLast(numbers, filters, channels, elementCount(taps), into);
  // Height, width, channels, filters.
  const order = [...identity(shape.length).slice(2), 1, 0];
  const laid = order.map((axis) => shape[axis]!);
  if (engine.name === 'wasm') return { device: writtenOnWasm(engine.tf, laid, write), order };
  const last = new Float32Array(numbers.length);
  write(last);
  return { device: put({ dtype: 'float32', shape: laid, data: last }), order };
}

/** Whether a node takes its weight with the filters last, whatever its other inputs are. */
function takesFiltersLast({ op, inputs, attrs }: Node, name: string, shape: readonly number[]): boolean {
  if (inputs[1] !== name || inputs[0] === name) return false;
  if ((op === 'Conv' || op === 'FusedConv') && (attrs.group ?? 1) === 1) return shape.length > 2;
  return (op === 'Gemm' || op === 'FusedMatMul') && attrs.transB === 1 && shape.length === 2;
}

const NONE = { op: 'initialiser', inputs: [], outputs: [], attrs: {} };
