import { VersusError } from '../core/errors.ts';
import type { Packed } from '../core/graph.ts';
import { fromBytes, toBytes } from '../core/tensor.ts';
import { BLOCK } from '../transform/quantise.ts';

/** Part of the key of every artifact: raise it when the same weights give other blocks. */
export const QUANTISER = 1;
/** Bytes of float32 rows, or of packed columns, that are held at a time. */
const BUFFER_BYTES = 4 << 20;

/** Consecutive rows of the result, valid until the next is asked for. */
export interface Piece {
  readonly values: Uint8Array;
  /** float32 */
  readonly scales: Uint8Array;
}

/**
 * A weight matrix in blocks, piece by piece from row 0 to N − 1, from its float32 numbers as a stream.
 * At most a few MiB (or one row) are held, whatever its size.
 * @param read starts the stream of the weight's bytes; called again for every stripe of columns when `transposed`
 * @throws VersusError `input` where a number is not finite: a block has no scale for it
 */
export function inBlocks(packed: Packed, read: () => AsyncIterable<Uint8Array>): AsyncIterable<Piece> {
  return packed.transposed ? byColumns(packed, read) : byRows(packed, read);
}

async function* byRows(packed: Packed, read: () => AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  const [n, k] = packed.of.shape as [number, number];
  const held = Math.min(n, Math.max(1, Math.floor(BUFFER_BYTES / (4 * k))));
  const rows = new Float32Array(held * k);
  const packer = new Packer(packed, held * Math.ceil(k / BLOCK));
  let filled = 0;
  for await (const chunk of read()) {
    const numbers = fromBytes('float32', chunk) as Float32Array;
    for (let at = 0; at < numbers.length; ) {
      const part = numbers.subarray(at, at + rows.length - filled);
      rows.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < rows.length) continue;
      yield packRows(packer, rows, held, k);
      filled = 0;
    }
  }
  const left = Math.floor(filled / k);
  if (left > 0) yield packRows(packer, rows, left, k);
}

function packRows(packer: Packer, rows: Float32Array, count: number, k: number): Piece {
  packer.clear();
  if (k % BLOCK === 0) packer.add(rows.subarray(0, count * k));
  else {
    const whole = k - (k % BLOCK);
    const last = new Float32Array(BLOCK);
    for (let at = 0; at < count * k; at += k) {
      packer.add(rows.subarray(at, at + whole));
      last.set(rows.subarray(at + whole, at + k));
      packer.add(last);
    }
  }
  return packer.piece();
}

/** [K, N]: rows of the result are columns of the source, so it is read once per stripe of columns. */
async function* byColumns(packed: Packed, read: () => AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  const [k, n] = packed.of.shape as [number, number];
  const blocks = Math.ceil(k / BLOCK);
  const most = Math.max(1, Math.floor((BUFFER_BYTES * 8) / (blocks * BLOCK * packed.bits)));
  for (let from = 0; from < n; from += most) {
    const width = Math.min(most, n - from);
    const packer = new Packer(packed, width * blocks);
    const group = new Float32Array(BLOCK * width);
    const column = new Float32Array(BLOCK);
    let element = 0;
    let row = 0;
    const finish = (): void => {
      // Rows beyond K pad the last block with zeros.
      group.fill(0, (((row - 1) % BLOCK) + 1) * width);
      for (let c = 0; c < width; c++) {
        for (let j = 0; j < BLOCK; j++) column[j] = group[j * width + c]!;
        packer.at(c * blocks + Math.floor((row - 1) / BLOCK));
        packer.add(column);
      }
    };
    for await (const chunk of read()) {
      const numbers = fromBytes('float32', chunk) as Float32Array;
      for (let at = 0; at < numbers.length; ) {
        const part = numbers.subarray(at, at + n - element);
        const [first, end] = [Math.max(from - element, 0), Math.min(from + width - element, part.length)];
        if (first < end) group.set(part.subarray(first, end), (row % BLOCK) * width + element + first - from);
        element += part.length;
        at += part.length;
        if (element < n) continue;
        element = 0;
        row++;
        if (row % BLOCK === 0 || row === k) finish();
      }
    }
    if (row === k) yield packer.whole();
  }
}

/** The smallest scale that is a normal float32. A block below it is zeros. */
const SMALLEST = 2 ** -126;
const INFINITY_BITS = 0x7f800000;

/**
 * Quantises blocks one after the other: symmetric, the number furthest from zero (the first of equals) becomes the lowest
 * level (−8, −128) exactly and the rest are rounded to nearest, so that |w − ŵ| ≤ ½ |scale| but for those that the missing
 * +8 (+128) clamps, of the opposite sign and nearly as far from zero. This is the symmetric rule of onnxruntime's own
 * quantiser (core/mlas/lib/q4_dq.cpp, `range2scale`) and of llama.cpp's Q4_0, with the quotient in float64.
 */
class Packer {
  readonly #of: string;
  readonly #bits: Packed['bits'];
  readonly #values: Uint8Array;
  readonly #scales: Float32Array;
  #block = 0;

  constructor({ bits, of }: Packed, blocks: number) {
    this.#of = of.name;
    this.#bits = bits;
    this.#values = new Uint8Array((blocks * BLOCK * bits) / 8);
    this.#scales = new Float32Array(blocks);
  }

  clear(): void {
    this.#block = 0;
  }

  /** The next block that is added becomes this one. */
  at(block: number): void {
    this.#block = block;
  }

  piece(): Piece {
    return {
      values: this.#values.subarray(0, (this.#block * BLOCK * this.#bits) / 8),
      scales: toBytes(this.#scales.subarray(0, this.#block)),
    };
  }

  whole(): Piece {
    return { values: this.#values, scales: toBytes(this.#scales) };
  }

  /** @param source whole blocks */
  add(source: Float32Array): void {
    // Of positive numbers, and so of magnitudes, the bits are in the order of the numbers; NaN and infinities come last.
    const bits = new Int32Array(source.buffer, source.byteOffset, source.length);
    const [values, scales] = [this.#values, this.#scales];
    const half = this.#bits === 4 ? 8 : 128;
    const [top, zero] = [2 * half - 1, half + 0.5];
    let block = this.#block;
    let out = (block * BLOCK * this.#bits) / 8;
    for (let from = 0; from < source.length; from += BLOCK, block++) {
      let most = 0;
      let furthest = from;
      for (let i = from; i < from + BLOCK; i++) {
        const magnitude = bits[i]! & 0x7fffffff;
        if (magnitude <= most) continue;
        most = magnitude;
        furthest = i;
      }
      if (most >= INFINITY_BITS) this.#refuse();
      const exact = source[furthest]! / -half;
      const scale = Math.abs(exact) < SMALLEST ? 0 : exact;
      const inverse = scale === 0 ? 0 : 1 / scale;
      scales[block] = scale;
      if (half === 8) {
        for (let i = from; i < from + BLOCK; i += 2) {
          let even = (source[i]! * inverse + zero) | 0;
          let odd = (source[i + 1]! * inverse + zero) | 0;
          if (even > top) even = top;
          if (odd > top) odd = top;
          values[out++] = even | (odd << 4);
        }
      } else {
        for (let i = from; i < from + BLOCK; i++) {
          const level = (source[i]! * inverse + zero) | 0;
          values[out++] = level > top ? top : level;
        }
      }
    }
    this.#block = block;
  }

  #refuse(): never {
    throw new VersusError('input', 'the weight holds a number that is not finite', {
      where: this.#of,
      next: 'run this model in fp32, or mend the checkpoint',
    });
  }
}
