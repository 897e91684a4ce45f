import type { Graph, Node, Param } from '../core/graph.ts';

/** Where a parameter lies in the tree of modules. */
export interface ModuleName {
  /** Modules from the root on: `encoder`, `layers`, `0`, `self_attn`. */
  readonly path: readonly string[];
  /** The tensor's name in its module: `weight`, `bias`, `class_token`. */
  readonly leaf: string;
  /** Both with dots between: for a checkpoint's name that name itself. */
  readonly dotted: string;
}

/** Deeper modules are one: no model comes near, and a name from outside may have a million dots. */
const MAX_DEPTH = 48;

/** What exporters call a tensor that lost its name: `onnx::MatMul_317`, `123`, `val_12`. */
const ANONYMOUS = /^(onnx::.*|\d+|val_\d+|_v_\d+)$/s;

/** What the inputs of an operator are called in PyTorch's modules, from the input of the first one on. */
const ROLES: Readonly<Record<string, readonly [first: number, ...names: string[]]>> = {
  MatMul: [1, 'weight'],
  Gemm: [1, 'weight', 'bias'],
  Conv: [1, 'weight', 'bias'],
  ConvTranspose: [1, 'weight', 'bias'],
  MatMulInteger: [1, 'weight', 'zero_point', 'zero_point'],
  MatMulNBits: [1, 'weight', 'scales', 'zero_points'],
  Gather: [0, 'weight'],
  LayerNormalization: [1, 'weight', 'bias'],
  GroupNormalization: [1, 'weight', 'bias'],
  InstanceNormalization: [1, 'weight', 'bias'],
  BatchNormalization: [1, 'weight', 'bias', 'running_mean', 'running_var'],
  DequantizeLinear: [0, 'weight', 'scale', 'zero_point'],
  PRelu: [1, 'weight'],
  Transpose: [0, 'weight'],
};

/**
 * The module of every parameter that is not a constant of the program. Names are cut at dots and slashes; a tensor that
 * the exporter left without a name belongs where the first node that reads it stands (`/encoder/layer.0/query/MatMul`).
 */
export function moduleNames(graph: Graph, wanted: (param: Param) => boolean): Map<string, ModuleName> {
  const readers = new Map<string, { node: Node; input: number }>();
  const anonymous = new Set<string>();
  for (const p of graph.params) if (ANONYMOUS.test(p.name) && wanted(p)) anonymous.add(p.name);
  if (anonymous.size > 0) {
    for (const node of graph.nodes) {
      node.inputs.forEach((name, input) => {
        if (anonymous.has(name) && !readers.has(name)) readers.set(name, { node, input });
      });
    }
  }
  const names = new Map<string, ModuleName>();
  for (const { name } of graph.params.filter(wanted)) {
    const reader = readers.get(name);
    names.set(name, (reader && besideNode(reader.node, reader.input)) ?? cut(name));
  }
  return names;
}

/** A name of a checkpoint (dots), of TensorFlow (slashes), or of a value that an exporter named after its module. */
function cut(name: string): ModuleName {
  const segments = name.startsWith('/') ? scopeOf(name) : name.split(/[./]/).filter((s) => s !== '');
  const leaf = segments.pop();
  return leaf === undefined ? named([], name) : named(segments, leaf);
}

function besideNode(node: Node, input: number): ModuleName | undefined {
  const source = [node.name, ...node.outputs].find((n) => n.includes('/'));
  if (source === undefined) return undefined;
  const [first, ...roles] = ROLES[node.op] ?? [0];
  return named(
    scopeOf(source.slice(0, source.lastIndexOf('/'))),
    roles[input - first] ?? node.op.toLowerCase(),
  );
}

/** `/layer1/layer1.0/conv1` is layer1, 0, conv1: PyTorch calls a child of a list by the list's name too. */
function scopeOf(text: string): string[] {
  const path: string[] = [];
  let last = '';
  for (const part of text.split('/')) {
    const own = last !== '' && part.startsWith(`${last}.`) ? part.slice(last.length + 1) : part;
    for (const segment of own.split('.')) if (segment !== '') path.push(segment);
    last = part;
  }
  return path;
}

function named(segments: readonly string[], leaf: string): ModuleName {
  const path =
    segments.length <= MAX_DEPTH
      ? segments
      : [...segments.slice(0, MAX_DEPTH - 1), segments.slice(MAX_DEPTH - 1).join('.')];
  return { path, leaf, dotted: [...segments, leaf].join('.') };
}
