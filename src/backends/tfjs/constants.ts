import type { Graph, Node, Param } from '../../core/graph.ts';
import { Room } from '../../core/read-param.ts';
import { elementCount, type Tensor, toNumbers } from '../../core/tensor.ts';
import type { Engine } from './engine.ts';
import { filtersLast } from './filters-last.ts';
import { upload } from './kernels/kernel.ts';
import { identity } from './order.ts';
import { packAhead, packsAhead } from './packing.ts';
import type { Weights } from './prepare.ts';
import { isFloat, type Value } from './value.ts';

/** Small tensors stay on the host: shapes, axes, scalars, what is folded into tables. */
const SMALL = 256;

/**
 * The parameters of a graph as values. Weights go to the engine one by one, in the order in which their reader wants them, and leave
 * the host: at most one of them is in both places. What the engine packs is packed at once, the largest first: the next
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
  const soleReader = ({ name }: Param): Node | null => {
    const nodes = readers.get(name) ?? [];
    return nodes.length === 1 && !outputs.has(name) ? nodes[0]! : null;
  };
  const values = new Map<string, Value>();
  const room = engine.copies ? new Room() : null;
  const put = async (param: Param, sole: Node | null): Promise<void> => {
    const { dtype, shape } = param;
    const common = { dtype, shape, fixed: true, ...(sole ? { sole: true as const } : {}) };
    const goes = isFloat(dtype) && elementCount(shape) > SMALL;
    const tensor = await (goes && room && numbers.borrow ? numbers.borrow(param) : numbers.read(param));
    const place = goes ? placed(engine, param, tensor, sole, room) : { host: tensor };
    values.set(param.name, { ...common, ...place });
  };
  const heavy: { readonly param: Param; readonly reader: Node }[] = [];
  for (let param = params.pop(); param; param = params.pop()) {
    const { name } = param;
    if (!readers.has(name) && !outputs.has(name)) continue;
    const reader = soleReader(param);
    if (reader && packsAhead(engine, reader, param)) heavy.push({ param, reader });
    else await put(param, reader);
  }
  heavy.sort((a, b) => elementCount(a.param.shape) - elementCount(b.param.shape));
  for (let next = heavy.pop(); next; next = heavy.pop()) {
    await put(next.param, next.reader);
    packAhead(engine, opset, next.reader, values);
  }
  return values;
}

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

/** On the engine, its axes in the order that its reader wants. @param room for a while, where the engine takes a copy */
function placed(
  engine: Engine,
  { name }: Param,
  tensor: Tensor,
  reader: Node | null,
  room: Room | null,
): Pick<Value, 'device' | 'order'> {
  const put = (laid: Tensor) => upload({ tf: engine.tf, node: { ...NONE, name } }, laid);
  if (!reader || !takesFiltersLast(reader, name, tensor.shape)) return { device: put(tensor) };
  const { shape, dtype, data } = tensor;
  const numbers = dtype === 'float32' ? (data as Float32Array) : Float32Array.from(toNumbers(tensor));
  const bytes = room?.bytes(numbers.byteLength) ?? new Uint8Array(numbers.byteLength);
  const last = new Float32Array(bytes.buffer, bytes.byteOffset, numbers.length);
  const [filters, channels, ...taps] = shape as [number, number, ...number[]];
  filtersLast(numbers, filters, channels, elementCount(taps), last);
  // Height, width, channels, filters.
  const order = [...identity(shape.length).slice(2), 1, 0];
  return { device: put({ dtype: 'float32', shape: order.map((axis) => shape[axis]!), data: last }), order };
}

/** Whether a node takes its weight with the filters last, whatever its other inputs are. */
function takesFiltersLast({ op, inputs, attrs }: Node, name: string, shape: readonly number[]): boolean {
  if (inputs[1] !== name || inputs[0] === name) return false;
  if ((op === 'Conv' || op === 'FusedConv') && (attrs.group ?? 1) === 1) return shape.length > 2;
  return (op === 'Gemm' || op === 'FusedMatMul') && attrs.transB === 1 && shape.length === 2;
}

const NONE = { op: 'initialiser', inputs: [], outputs: [], attrs: {} };
