import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Graph, Param } from '../../src/core/graph.ts';
import { bytesPerElement, type Tensor, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import type { OperatorCase } from './operator-cases.ts';

/** A graph of one node; outputs are declared with the types that the interpreter gave them. */
function graphOf(c: OperatorCase, results?: Tensors): Graph {
  const named = c.inputs.map((t, i) => ({ t, i, name: t ? `in${i}` : '' }));
  const params: Param[] = [];
  const inputs: Graph['inputs'][number][] = [];
  for (const { t, i, name } of named) {
    if (!t) continue;
    if (c.fixed.includes(i))
      params.push({ name, dtype: t.dtype, shape: t.shape, role: 'constant', data: t.data });
    else inputs.push({ name, dtype: t.dtype, shape: t.shape });
  }
  const outputs = Array.from({ length: c.outputs }, (_, i) => `out${i}`);
  return {
    name: c.op,
    opset: { '': c.opset, ...(c.domain && { [c.domain]: 1 }) },
    inputs,
    params,
    outputs: outputs.map((name) => ({
      name,
      dtype: results?.[name]?.dtype ?? 'float32',
      shape: results?.[name]?.shape ?? [],
    })),
    nodes: [
      {
        ...{
          op: c.op,
          name: 'it',
          inputs: named.map((n) => n.name),
          outputs,
          attrs: c.attrs,
          floats: c.floats,
        },
        ...(c.domain && { domain: c.domain }),
      },
    ],
  };
}

function feedsOf(c: OperatorCase): Tensors {
  return Object.fromEntries(c.inputs.flatMap((t, i) => (t && !c.fixed.includes(i) ? [[`in${i}`, t]] : [])));
}

export function runInterpreter(c: OperatorCase): Tensors {
  return interpret(graphOf(c), {}, feedsOf(c));
}

/** The same node in onnxruntime, with its graph optimisations off. */
export async function runOnnxruntime(c: OperatorCase, expected: Tensors): Promise<Tensors> {
  const session = await InferenceSession.create(encodeOnnx(graphOf(c, expected)), {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  try {
    const feeds = Object.fromEntries(
      Object.entries(feedsOf(c)).map(([name, t]) => [
        name,
        new OrtTensor(t.dtype as never, t.data as never, t.shape),
      ]),
    );
    const results = await session.run(feeds);
    return Object.fromEntries(
      Object.entries(results).map(([name, t]) => [
        name,
        { dtype: t.type, shape: t.dims, data: t.data } as unknown as Tensor,
      ]),
    );
  } finally {
    await session.release();
  }
}

/** What differs, in words; null when nothing does. Whole numbers must be equal, floats within tolerance × max(1, |expected|). */
export function difference(actual: Tensors, expected: Tensors, tolerance: number): string | null {
  for (const [name, want] of Object.entries(expected)) {
    const got = actual[name];
    if (!got) return `${name} is missing`;
    if (got.dtype !== want.dtype) return `${name} is ${got.dtype}, not ${want.dtype}`;
    if (got.shape.join() !== want.shape.join()) return `${name} is [${got.shape}], not [${want.shape}]`;
    if (got.data.byteLength !== got.data.length * bytesPerElement(got.dtype))
      return `${name} has another array type`;
    const exact = !want.dtype.startsWith('float');
    const [a, b] = [toNumbers(got), toNumbers(want)];
    for (let i = 0; i < b.length; i++) {
      if (Object.is(a[i], b[i]) || a[i] === b[i] || (Number.isNaN(a[i]) && Number.isNaN(b[i]))) continue;
      const apart = Math.abs(a[i]! - b[i]!);
      if (exact || !(apart <= tolerance * Math.max(1, Math.abs(b[i]!))))
        return `${name}[${i}] is ${a[i]}, not ${b[i]}`;
    }
  }
  return null;
}
