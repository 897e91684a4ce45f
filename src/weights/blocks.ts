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
  const out = room(packed, held, k);
  let filled = 0;
  for await (const chunk of read()) {
    const numbers = fromBytes('float32', chunk) as Float32Array;
    for (let at = 0; at < numbers.length; ) {
      const part = numbers.subarray(at, at + rows.length - filled);
      rows.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < rows.length) continue;
      yield packRows(packed, rows, k, out);
      filled = 0;
    }
  }
  const left = rows.subarray(0, filled - (filled % k));
  if (left.length > 0) yield packRows(packed, left, k, out);
}

/** [K, N]: rows of the result are columns of the source, so it is read once per stripe of columns. */
async function* byColumns(packed: Packed, read: () => AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  const [k, n] = packed.of.shape as [number, number];
  const blocks = Math.ceil(k / BLOCK);
  const most = Math.max(1, Math.floor((BUFFER_BYTES * 8) / (blocks * BLOCK * packed.bits)));
  for (let from = 0; from < n; from += most) {
    const width = Math.min(most, n - from);
    const out = room(packed, width, k);
    const group = new Float32Array(width * BLOCK);
    let element = 0;
    let row = 0;
    const finish = (count: number): void => {
      for (let c = 0; c < width; c++) {
        const at = c * blocks + Math.floor((row - 1) / BLOCK);
        out.scales[at] = packBlock(packed, group, c * BLOCK, count, out.values, at);
      }
    };
    for await (const chunk of read()) {
      for (const v of fromBytes('float32', chunk) as Float32Array) {
        const column = element - from;
        if (column >= 0 && column < width) group[column * BLOCK + (row % BLOCK)] = v;
        if (++element < n) continue;
        element = 0;
        row++;
        if (row % BLOCK === 0 || row === k) finish(((row - 1) % BLOCK) + 1);
      }
    }
    if (row === k) yield { values: out.values, scales: toBytes(out.scales) };
  }
}

interface Room {
  readonly values: Uint8Array;
  readonly scales: Float32Array;
}

function room({ bits }: Packed, rows: number, k: number): Room {
  const blocks = rows * Math.ceil(k / BLOCK);
  return { values: new Uint8Array((blocks * BLOCK * bits) / 8), scales: new Float32Array(blocks) };
}

function packRows(packed: Packed, rows: Float32Array, k: number, { values, scales }: Room): Piece {
  let block = 0;
  for (let row = 0; row < rows.length; row += k) {
    for (let at = 0; at < k; at += BLOCK, block++) {
      scales[block] = packBlock(packed, rows, row + at, Math.min(BLOCK, k - at), values, block);
    }
  }
  const bytes = (block * BLOCK * packed.bits) / 8;
  return { values: values.subarray(0, bytes), scales: toBytes(scales.subarray(0, block)) };
}

/**
 * Quantises one block and returns its scale: symmetric, the number furthest from zero becomes the lowest level
 * (−8, −128) exactly and the rest are rounded to nearest, so that |w − ŵ| ≤ ½ |scale| but for those that the missing +8
 * (+128) clamps, of the opposite sign and nearly as far from zero. This is the symmetric rule of onnxruntime's own
 * quantiser (core/mlas/lib/q4_dq.cpp, `range2scale`) and of llama.cpp's Q4_0, with the quotient in float64.
 */
function packBlock(
  { bits, of }: Packed,
  source: Float32Array,
  from: number,
  count: number,
  values: Uint8Array,
  block: number,
): number {
  let low = 0;
  let high = 0;
  for (let i = from; i < from + count; i++) {
    const v = source[i]!;
    if (v < low) low = v;
    else if (v > high) high = v;
  }
  const half = bits === 4 ? 8 : 128;
  const scale = Math.fround((high > -low ? high : low) / -half);
  const inverse = scale === 0 ? 0 : 1 / scale;
  const [top, zero] = [2 * half - 1, half + 0.5];
  const perByte = 8 / bits;
  let out = (block * BLOCK) / perByte;
  let sum = 0;
  for (let i = 0; i < BLOCK; i += perByte) {
    let byte = 0;
    for (let j = 0; j < perByte; j++) {
      // What pads the last block of a row is zero.
      const level = i + j < count ? source[from + i + j]! * inverse + zero : zero;
      sum += level;
      byte |= (level >= top ? top : level > 0 ? level | 0 : 0) << (bits * j);
    }
    values[out++] = byte;
  }
  // NaN and infinities are NaN in the sum.
  if (Number.isNaN(sum)) {
    throw new VersusError('input', 'the weight holds a number that is not finite', {
      where: of.name,
      next: 'run this model in fp32, or mend the checkpoint',
    });
  }
  return scale;
}
