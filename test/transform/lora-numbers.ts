import type { Graph, Param } from '../../src/core/graph.ts';
import type { WeightSpec } from '../../src/core/model.ts';
import { random, seedOf } from '../../src/core/random.ts';
import { elementCount, float32, fromBytes, type Tensors, tensor, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder, type Value } from '../../src/graph/builder.ts';
import type { LoraTarget } from '../../src/transform/lora-targets.ts';

/** All numbers of a source, in pieces as they come. */
export async function numbersOf(spec: WeightSpec, params: readonly Param[]): Promise<Tensors> {
  const source = await spec.open(params);
  const found: Tensors = {};
  for (const param of params) {
    const pieces: Uint8Array[] = [];
    for await (const piece of source.read(param)) pieces.push(piece.slice());
    found[param.name] = tensor(
      param.dtype,
      param.shape,
      fromBytes(param.dtype, new Uint8Array(Buffer.concat(pieces))),
    );
  }
  await source.close();
  return found;
}

/** Adapters that have learnt something: neither matrix is zero. */
export function learnt(targets: readonly LoraTarget[], strength = 0.5): Tensors {
  const drawn = (name: string, shape: readonly number[]) => {
    const { uniform } = random(seedOf(name));
    const bound = strength / Math.sqrt(elementCount(shape) / shape[0]!);
    return float32(
      shape,
      Float32Array.from({ length: elementCount(shape) }, () => bound * (2 * uniform() - 1)),
    );
  };
  return Object.fromEntries(
    targets.flatMap(({ names, a, b }) => [
      [names.a, drawn(names.a, a)],
      [names.b, drawn(names.b, b)],
    ]),
  );
}

/** The largest difference, relative to the larger of 1 and the number. */
export function apart(a: Tensors, b: Tensors): number {
  let most = 0;
  for (const name of Object.keys(b)) {
    const [x, y] = [toNumbers(a[name]!), toNumbers(b[name]!)];
    y.forEach((v, i) => {
      most = Math.max(most, Math.abs(v - x[i]!) / Math.max(1, Math.abs(v)));
    });
  }
  return most;
}

export const KINDS = ['rows', 'gemm', 'columns', 'turned', 'matmul', 'shared', 'conv', 'pointwise'] as const;
const WIDTH = 8;

/** Layers of all kinds after an embedding whose table makes the logits: [batch, sequence] → logits [batch, sequence, 12]. */
export function layered(kinds: readonly (typeof KINDS)[number][], dims: readonly (string | number)[]): Graph {
  const g = new GraphBuilder('layered');
  const table = g.param('model.embed_tokens.weight', [12, WIDTH], { kind: 'uniform', std: 1 });
  let x = g.gather(table, g.input('ids', 'int64', dims));
  const square = (name: string): Value =>
    g.param(`${name}.weight`, [WIDTH, WIDTH], { kind: 'uniform', std: 0.4 });
  const flat = (body: (rows: Value) => Value): Value => {
    const rows = g.op('Reshape', [x, g.ints([-1, WIDTH])])[0]!;
    return g.op('Reshape', [body(rows), g.shapeOf(x)])[0]!;
  };
  const image = (body: (image: Value) => Value): Value => {
    const channels = g.op('Reshape', [x, g.ints([-1, WIDTH, 1, 1])])[0]!;
    const spread = g.op('Pad', [channels, g.ints([0, 0, 1, 1, 0, 0, 1, 1])])[0]!;
    return g.op('Reshape', [g.reduceMean(body(spread), [2, 3]), g.shapeOf(x)])[0]!;
  };
  kinds.forEach((kind, i) => {
    const name = `model.layers.${i}.fc`;
    const bias = () => g.param(`${name}.bias`, [WIDTH], { kind: 'uniform', std: 0.3 });
    if (kind === 'rows') x = flat((rows) => g.gemm(rows, square(name), bias(), { transB: 1 }));
    if (kind === 'gemm') x = flat((rows) => g.gemm(rows, square(name), bias(), { alpha: 0.5 }));
    if (kind === 'columns')
      x = flat((rows) => g.gemm(g.transpose(rows, [1, 0]), square(name), null, { transA: 1, transB: 1 }));
    if (kind === 'turned') x = g.matmul(x, g.transpose(square(name), [1, 0]));
    if (kind === 'matmul') x = g.add(g.matmul(x, square(name)), bias());
    if (kind === 'shared') x = g.matmul(g.matmul(x, square('model.shared')), square('model.shared'));
    if (kind === 'conv') {
      const kernel = g.param(`${name}.weight`, [WIDTH, WIDTH, 2, 2], { kind: 'uniform', std: 0.3 });
      x = image((v) => g.conv(v, kernel, bias(), { pads: [1, 0, 1, 1], dilations: [2, 1], strides: [1, 2] }));
    }
    if (kind === 'pointwise') {
      const kernel = g.param(`${name}.weight`, [WIDTH, WIDTH, 1, 1], { kind: 'uniform', std: 0.5 });
      x = image((v) => g.conv(v, kernel, bias()));
    }
  });
  g.output('logits', g.matmul(x, g.transpose(table, [1, 0])));
  return g.build();
}
