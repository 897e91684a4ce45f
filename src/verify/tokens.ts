import { VersusError } from '../core/errors.ts';
import { allocate, int64, type Tensor, tensor, toNumbers } from '../core/tensor.ts';

/* Sequences are tensors [batch, sequence, …]; these cut and join them along the sequence. */

/** Places `from` to `to` of every sequence. */
export function span(t: Tensor, from: number, to: number): Tensor {
  const [batch = 0, length = 0, ...rest] = t.shape;
  if (from < 0 || to > length || from > to) {
    throw new VersusError('input', `places ${from} to ${to} of a sequence of ${length}`);
  }
  const width = rest.reduce((a, b) => a * b, 1);
  const data = allocate(t.dtype, batch * (to - from) * width);
  for (let b = 0; b < batch; b++) {
    const row = t.data.subarray((b * length + from) * width, (b * length + to) * width);
    // Both arrays are of the tensor's own type, which the union type cannot say.
    (data as Float32Array).set(row as Float32Array, b * (to - from) * width);
  }
  return tensor(t.dtype, [batch, to - from, ...rest], data);
}

/** Sequences end to end. */
export function joined(parts: readonly Tensor[]): Tensor {
  const [batch = 0, , ...rest] = parts[0]!.shape;
  const width = rest.reduce((a, b) => a * b, 1);
  const length = parts.reduce((n, p) => n + p.shape[1]!, 0);
  const data = allocate(parts[0]!.dtype, batch * length * width);
  let at = 0;
  for (const part of parts) {
    const own = part.shape[1]!;
    for (let b = 0; b < batch; b++) {
      const row = part.data.subarray(b * own * width, (b + 1) * own * width);
      (data as Float32Array).set(row as Float32Array, (b * length + at) * width);
    }
    at += own;
  }
  return tensor(parts[0]!.dtype, [batch, length, ...rest], data);
}

/** The id with the largest logit at the last place of every sequence, [batch, 1]; the first of equals. */
export function nextIds(logits: Tensor): Tensor {
  const [batch = 0, length = 0, vocabulary = 0] = logits.shape;
  const values = toNumbers(span(logits, length - 1, length));
  const ids = Array.from({ length: batch }, (_, b) => {
    const row = values.subarray(b * vocabulary, (b + 1) * vocabulary);
    return row.reduce((best, v, i) => (v > row[best]! ? i : best), 0);
  });
  return int64([batch, 1], ids);
}

/** [batch, length] of one number. */
export function filled(batch: number, length: number, value: number): Tensor {
  return tensor('int64', [batch, length], new BigInt64Array(batch * length).fill(BigInt(value)));
}

/** 0, 1, 2 … from `start` in every sequence. */
export function counting(batch: number, start: number, length: number): Tensor {
  return int64(
    [batch, length],
    Array.from({ length: batch * length }, (_, i) => start + (i % length)),
  );
}

/** What lies at padding (where the mask [batch, sequence] is 0) means nothing: there the reference's numbers stand. */
export function exceptPadding(t: Tensor, mask: Tensor, reference: Tensor | undefined): Tensor {
  if (!reference || String(reference.shape) !== String(t.shape)) return t;
  const values = t.data.slice() as Float32Array;
  const expected = toNumbers(reference);
  const width = t.shape.slice(2).reduce((a, b) => a * b, 1);
  mask.data.forEach((m: number | bigint, place: number) => {
    if (Number(m) !== 0) return;
    values.set(expected.subarray(place * width, (place + 1) * width), place * width);
  });
  return tensor(t.dtype, t.shape, values);
}
