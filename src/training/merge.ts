import { createHash } from 'node:crypto';
import { VersusError } from '../core/errors.ts';
import type { Param } from '../core/graph.ts';
import type { WeightSource, WeightSpec } from '../core/model.ts';
import { bytesPerElement, fromBytes, type Tensor, type Tensors, toBytes, toNumbers } from '../core/tensor.ts';
import type { LoraTarget } from '../transform/lora-targets.ts';
import { convert, convertible } from '../weights/convert.ts';

/**
 * Weights with adapters merged into them, W + (alpha ÷ r) · B · A, computed while they stream: no matrix is held whole. The
 * model then needs no adapters and computes the same to float32's rounding. Of a base in 4-bit blocks it is the weights that
 * the blocks were made of which are merged, so the result differs by what the blocks had rounded.
 *
 * @param tensors A and B of every target by the names that they have in graphs; a target without them stays as it is
 * @throws VersusError `unsupported` for convolutions in groups, whose adapters mix what the groups keep apart (PEFT merges
 *   them as little), and for a table whose adapter only its embedding uses (`tied: false`); when opened
 */
export function merged(
  base: WeightSpec,
  { targets, tied = true }: { readonly targets: readonly LoraTarget[]; readonly tied?: boolean },
  tensors: Tensors,
): WeightSpec {
  const label = `${base.label} with adapters merged`;
  return {
    label,
    open: async (params, options) => {
      const deltas = new Map<string, Delta>();
      for (const target of targets) {
        const [a, b] = [tensors[target.names.a], tensors[target.names.b]];
        if (!a || !b) continue;
        if (target.groups > 1) throw cannot(target, `it has ${target.groups} groups`);
        if (!tied && target.kind === 'embedding' && target.output)
          throw cannot(target, 'its table also makes the logits, which the adapter leaves alone');
        deltas.set(target.tensor, deltaOf(target, a, b));
      }
      const source = await base.open(params, options);
      const adapters = createHash('sha256');
      for (const { names, scale } of targets) {
        for (const name of [names.a, names.b]) {
          const t = tensors[name];
          if (t) adapters.update(`${name} ${t.dtype} ${t.shape} ${scale}\n`).update(toBytes(t.data));
        }
      }
      const suffix = `+lora-${adapters.digest('hex').slice(0, 32)}`;
      const content = source.content === undefined ? {} : { content: source.content + suffix };
      return {
        ...{ id: source.id + suffix, ...content, label, trained: source.trained },
        read: (param, into) => {
          const delta = deltas.get(param.name);
          return delta ? added(source, param, delta) : source.read(param, into);
        },
        close: () => source.close(),
      };
    },
  };
}

/** Row i of ΔW is Σ_j left[i, j] · right[j]. */
interface Delta {
  readonly rank: number;
  readonly columns: number;
  /** [rows, rank], scaled. */
  readonly left: Float64Array;
  /** [rank, columns] */
  readonly right: Float64Array;
}

/** ΔW in the weight's own layout: B · A, or its transpose Aᵀ · Bᵀ where the weight is kept as [in, out]. */
function deltaOf(target: LoraTarget, a: Tensor, b: Tensor): Delta {
  const rank = target.a[0]!;
  const [A, B] = [toNumbers(a), toNumbers(b)];
  const swapped = target.kind === 'embedding' || target.transposed;
  const [left, right] = swapped ? [transpose(A, rank), transpose(B, B.length / rank)] : [B, A];
  return { rank, columns: right.length / rank, left: left.map((v) => v * target.scale), right };
}

function transpose(m: Float64Array, rows: number): Float64Array {
  const columns = m.length / rows;
  return Float64Array.from(m, (_, i) => m[(i % rows) * columns + Math.floor(i / rows)]!);
}

async function* added(source: WeightSource, param: Param, delta: Delta): AsyncGenerator<Uint8Array, void> {
  const { rank, columns, left, right } = delta;
  const { dtype } = param;
  if (!convertible(dtype, 'float32'))
    throw new VersusError('unsupported', `${param.name} is ${dtype}, and cannot be merged`);
  const row = new Float64Array(columns);
  let done = 0;
  for await (const chunk of source.read(param)) {
    const size = chunk.byteLength / bytesPerElement(dtype);
    const numbers = (fromBytes('float32', convert(dtype, 'float32', chunk)) as Float32Array).slice(0, size);
    for (let at = 0; at < size; ) {
      const [i, from] = [Math.floor((done + at) / columns), (done + at) % columns];
      const count = Math.min(columns - from, size - at);
      row.fill(0, from, from + count);
      for (let j = 0; j < rank; j++) {
        const factor = left[i * rank + j]!;
        const begin = j * columns;
        for (let c = from; c < from + count; c++) row[c]! += factor * right[begin + c]!;
      }
      for (let c = 0; c < count; c++) numbers[at + c]! += row[from + c]!;
      at += count;
    }
    done += size;
    yield convert('float32', dtype, toBytes(numbers)).subarray(0, chunk.byteLength);
  }
}

function cannot({ module }: LoraTarget, why: string): VersusError {
  return new VersusError('unsupported', `the adapter of ${module} cannot be merged: ${why}`, {
    next: 'use the model with its adapters beside it',
  });
}
