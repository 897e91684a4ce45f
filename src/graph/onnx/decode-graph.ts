import { VersusError } from '../../core/errors.ts';
import type { Attribute, Dim, Graph, Node, Param, Shape, ValueInfo } from '../../core/graph.ts';
import { UNKNOWN_RANK } from '../dims.ts';
import { dtypeName, dtypeOf } from '../dtypes.ts';
import { decodeNode } from './decode-node.ts';
import { type DecodedTensor, decodeTensor, type ExternalRange } from './tensor.ts';
import { bytes, integer, readMessage, text } from './wire.ts';

/** Bounds that no real model comes near; beyond them a file is refused instead of eating memory or stack. */
const MAX_NODES = 500_000;
const MAX_DEPTH = 16;
const MAX_RANK = 64;
const MAX_SYMBOL = 1000;

export function decodeGraph(
  message: Uint8Array,
  opset: Graph['opset'],
  depth = 0,
): { graph: Graph; external: Map<string, ExternalRange> } {
  if (depth > MAX_DEPTH) throw new VersusError('input', `subgraphs are nested more than ${MAX_DEPTH} deep`);
  let name = '';
  const nodes: Node[] = [];
  const tensors: DecodedTensor[] = [];
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const values: Record<string, ValueInfo> = Object.create(null) as Record<string, ValueInfo>;
  const subgraph = (body: Uint8Array): Attribute => {
    const inner = decodeGraph(body, opset, depth + 1);
    if (inner.external.size > 0)
      throw new VersusError('unsupported', 'external data in a subgraph are not supported');
    return { kind: 'graph', graph: inner.graph };
  };
  readMessage(message, {
    1: bytes((v) => {
      if (nodes.push(decodeNode(v, subgraph)) > MAX_NODES)
        throw new VersusError('input', `more than ${MAX_NODES} nodes`);
    }),
    2: text((v) => {
      name = v;
    }),
    5: bytes((v) => {
      tensors.push(decodeTensor(v));
    }),
    11: bytes((v) => {
      inputs.push(boundary(v, 'input', depth));
    }),
    12: bytes((v) => {
      outputs.push(boundary(v, 'output', depth));
    }),
    13: bytes((v) => {
      const { info } = decodeValue(v);
      if (info && info.shape[0] !== UNKNOWN_RANK) values[info.name] = info;
    }),
    15: bytes(() => {
      throw new VersusError('unsupported', 'sparse initialisers are not supported');
    }),
  });
  const external = new Map<string, ExternalRange>();
  for (const t of tensors) if (t.external) external.set(t.name, t.external);
  const owned = new Set(tensors.map((t) => t.name));
  const graph: Graph = {
    name,
    opset,
    // Up to IR version 3 initialisers were listed among the inputs too, as their default values.
    inputs: inputs.filter((i) => !owned.has(i.name)),
    outputs,
    params: asParams(tensors, nodes),
    nodes,
    ...(Object.keys(values).length > 0 && { values }),
  };
  return { graph, external };
}

/**
 * What initialisers are for. Files that Versus wrote say so; else floating-point tensors with a dimension are weights,
 * running statistics of BatchNormalization buffers, and the rest constants.
 */
function asParams(tensors: readonly DecodedTensor[], nodes: readonly Node[]): Param[] {
  const statistics = new Set<string>();
  for (const node of nodes) {
    if (node.op === 'BatchNormalization') for (const i of node.inputs.slice(3, 5)) statistics.add(i);
  }
  return tensors.map(({ name, dtype, shape, data, role }) => {
    const learnt = shape.length > 0 && /float/.test(dtype);
    const guess = statistics.has(name) ? 'buffer' : learnt ? 'weight' : 'constant';
    return { name, dtype, shape, role: role ?? guess, ...(data && { data }) };
  });
}

/** An input or output of a graph; those of a subgraph may leave their type open. */
function boundary(message: Uint8Array, what: string, depth: number): ValueInfo {
  const { info, name, kind } = decodeValue(message);
  if (info) return info;
  if (depth > 0) return { name, dtype: 'float32', shape: [UNKNOWN_RANK] };
  throw new VersusError('unsupported', `${what} ${name} is ${kind}, which is not supported`, {
    next: 'export the model with tensors of numbers at its edges',
  });
}

/** A ValueInfoProto; without `info` where it is no tensor, or of an element type that Versus doesn't know. */
function decodeValue(message: Uint8Array): {
  readonly name: string;
  readonly info?: ValueInfo;
  /** What it is, for messages. */
  readonly kind: string;
} {
  let name = '';
  let type: Uint8Array | undefined;
  readMessage(message, {
    1: text((v) => {
      name = v;
    }),
    2: bytes((v) => {
      type = v;
    }),
  });
  let tensor: Uint8Array | undefined;
  if (type) {
    readMessage(type, {
      1: bytes((v) => {
        tensor = v;
      }),
    });
  }
  if (!tensor)
    return {
      name,
      kind: type ? 'no tensor (a sequence, map, optional or sparse one)' : 'of no declared type',
    };
  let code = 0;
  let shape: Shape = [UNKNOWN_RANK];
  readMessage(tensor, {
    1: integer((v) => {
      code = Number(v);
    }),
    2: bytes((v) => {
      shape = decodeShape(v, name);
    }),
  });
  const dtype = dtypeOf(code);
  const kind = code === 0 ? 'of no declared element type' : `a tensor of ${dtypeName(code)}`;
  return { name, kind, ...(dtype && { info: { name, dtype, shape } }) };
}

function decodeShape(message: Uint8Array, name: string): Dim[] {
  const dims: Dim[] = [];
  readMessage(message, {
    1: bytes((v) => {
      if (dims.length >= MAX_RANK)
        throw new VersusError('input', `value ${name} has more than ${MAX_RANK} dimensions`);
      // A dimension that is neither given nor named is known by its place.
      let dim: Dim = `?${name}.${dims.length}`;
      readMessage(v, {
        1: integer((size) => {
          if (size < 0n || size > BigInt(Number.MAX_SAFE_INTEGER)) {
            throw new VersusError('input', `value ${name} has a dimension of ${size}`);
          }
          dim = Number(size);
        }),
        2: text((symbol) => {
          if (symbol.length > MAX_SYMBOL)
            throw new VersusError('input', `value ${name} has a dimension with an endless name`);
          if (symbol !== '') dim = symbol;
        }),
      });
      dims.push(dim);
    }),
  });
  return dims;
}
