import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { Attribute, Graph, Node, ValueInfo } from '../../src/core/graph.ts';
import type { DType } from '../../src/core/tensor.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { overwritable } from '../../src/transform/liveness.ts';

/* What is planned into the same memory, against what the runtime's own profile says that a kernel took from the arena. */

const SHAPE = [64, 32];
const FED: readonly ValueInfo[] = [
  { name: 'x', dtype: 'float32', shape: SHAPE },
  { name: 'row', dtype: 'float32', shape: [32] },
  { name: 'one', dtype: 'float32', shape: [] },
  { name: 'which', dtype: 'bool', shape: SHAPE },
  { name: 'columns', dtype: 'int64', shape: [64, 1] },
  { name: 'updates', dtype: 'float32', shape: [64, 1] },
];

const ONE = [
  ...['Abs', 'Neg', 'Sqrt', 'Exp', 'Log', 'Reciprocal', 'Floor', 'Ceil', 'Relu', 'LeakyRelu', 'Elu', 'Celu'],
  ...['Selu', 'ThresholdedRelu', 'Sigmoid', 'HardSigmoid', 'Tanh', 'Softplus', 'Softsign', 'Erf', 'Sin'],
  ...['Cos', 'Round', 'Sign', 'Softmax', 'LogSoftmax', 'Clip', 'Sum', 'Gelu', 'Dropout'],
];
const TWO = ['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Pow', 'PRelu'];
const CASES: readonly (readonly [
  op: string,
  inputs: readonly string[],
  attrs?: Record<string, Attribute>,
])[] = [
  ...ONE.map((op) => [op, ['a']] as const),
  ...TWO.flatMap((op) => ['x', 'row', 'one'].map((b) => [op, ['a', b]] as const)),
  ...TWO.map((op) => [op, ['x', 'a']] as const),
  ['Where', ['which', 'a', 'x']],
  ['Where', ['which', 'x', 'a']],
  ['ScatterElements', ['a', 'columns', 'updates'], { axis: 1 }],
  ['Cast', ['a'], { to: 6 }],
  ['Transpose', ['a'], { perm: [0, 1] }],
];
const MICROSOFT = ['Gelu', 'QuickGelu', 'FastGelu'];

const values = (dtype: DType, n: number) =>
  dtype === 'float32'
    ? new Float32Array(n).fill(1)
    : dtype === 'bool'
      ? new Uint8Array(n)
      : new BigInt64Array(n);

/** Bytes by which the arena's use grew while a kernel ran that is the last to read its operand. */
async function taken(node: Omit<Node, 'outputs' | 'name'>): Promise<number> {
  const step = (op: string, inputs: string[], output: string): Node => ({
    ...{ op, name: output, inputs, outputs: [output], attrs: {} },
  });
  const graph: Graph = {
    name: 'over',
    opset: { '': 21, 'com.microsoft': 1 },
    inputs: FED,
    outputs: [{ name: 'y', dtype: 'float32', shape: SHAPE }],
    params: [],
    nodes: [
      step('Relu', ['x'], 'a'),
      { ...node, name: 'b', outputs: ['b'] },
      node.op === 'Cast' ? { ...step('Cast', ['b'], 'y'), attrs: { to: 1 } } : step('Relu', ['b'], 'y'),
    ],
  };
  const dir = mkdtempSync(join(tmpdir(), 'versus-over-'));
  const session = await ort.InferenceSession.create(encodeOnnx(graph), {
    ...{ graphOptimizationLevel: 'disabled', enableProfiling: true, logSeverityLevel: 4 },
    profileFilePrefix: join(dir, 'p'),
  });
  const fed = FED.map(({ name, dtype, shape }) => {
    const sizes = shape as number[];
    const count = sizes.reduce((a, b) => a * b, 1);
    return [name, new ort.Tensor(dtype as 'float32', values(dtype, count) as Float32Array, sizes)] as const;
  });
  await session.run(Object.fromEntries(fed));
  session.endProfiling();
  const [file] = readdirSync(dir);
  const events = JSON.parse(readFileSync(join(dir, file!), 'utf8')) as {
    name: string;
    args: Record<string, string>;
  }[];
  await session.release();
  rmSync(dir, { recursive: true });
  return Number(events.find((e) => e.name === 'b_kernel_time')!.args.mem_requested_in_use_delta);
}

describe('memory that onnxruntime writes results over', () => {
  it('is that of the operands that are said to be overwritable, and of no others', async () => {
    const nodes = [
      ...CASES.map(([op, inputs, attrs]) => ({ op, inputs: [...inputs], attrs: attrs ?? {} })),
      ...MICROSOFT.map((op) => ({ op, domain: 'com.microsoft', inputs: ['a'], attrs: {} })),
    ];
    const wrong: string[] = [];
    for (const node of nodes) {
      const bytes = await taken(node);
      const said = overwritable({ ...node, name: 'b', outputs: ['b'] }).includes('a');
      if ((bytes === 0) !== said) wrong.push(`${node.op} ${node.inputs}: ${bytes} bytes`);
    }
    expect(wrong).toEqual([]);
  });
});
