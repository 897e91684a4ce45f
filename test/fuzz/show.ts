import type { Attribute, Node } from '../../src/core/graph.ts';
import { type Tensor, toNumbers } from '../../src/core/tensor.ts';
import type { FuzzCase } from './sketch.ts';

const MOST = 64;

const size = (t: { dtype: string; shape: readonly (number | string)[] }): string =>
  `${t.dtype}[${t.shape.join(', ')}]`;

/** Numbers as nested lists, row by row. */
function listed(t: Tensor): string {
  const flat = t.data instanceof BigInt64Array ? [...t.data].map(String) : [...toNumbers(t)].map(String);
  if (t.data.length > MOST) return `${flat.slice(0, MOST).join(', ')}, …`;
  if (t.data.length === 0) return '';
  let rows = flat;
  for (const d of [...t.shape].reverse())
    rows = Array.from(
      { length: rows.length / d },
      (_, i) => `[${rows.slice(i * d, (i + 1) * d).join(', ')}]`,
    );
  return rows.join(', ');
}

function attribute(value: Attribute): string {
  if (typeof value !== 'object') return String(value);
  if (!('kind' in value)) return `[${value.join(', ')}]`;
  return value.kind === 'tensor' ? `${size(value)} ${listed(value)}` : 'a graph';
}

function nodeLine(node: Node): string {
  const attrs = Object.entries(node.attrs).map(([name, value]) => `${name}=${attribute(value)}`);
  const name = node.domain ? `${node.domain}:${node.op}` : node.op;
  return `${node.outputs.join(', ')} = ${name}(${[...node.inputs.map((i) => i || '–'), ...attrs].join(', ')})`;
}

/** A case as a person reads it: every value with its type and numbers, a node per line. */
export function show({ graph, feeds }: FuzzCase): string {
  const domain = graph.opset['com.microsoft'] ? ', com.microsoft' : '';
  return [
    `opset ${graph.opset['']}${domain}`,
    ...graph.inputs.map((i) => `${i.name}: ${size(i)} = ${listed(feeds[i.name]!)}`),
    ...graph.params.map((p) => `${p.name}: constant ${size(p)} = ${listed(p as Tensor)}`),
    ...graph.nodes.map(nodeLine),
    `→ ${graph.outputs.map((o) => `${o.name}: ${size(o)}`).join(', ')}`,
  ].join('\n');
}
