import { bytesPerElement, type DType, fromBytes, toBytes, toFloat16 } from '../core/tensor.ts';
import { borrowWidener, giveBack, type Narrow } from './widen.ts';

const FLOATS: readonly DType[] = ['float32', 'float16', 'bfloat16', 'float64'];

/** Whether `convert` knows the way: between floating-point types, or no change at all. */
export function convertible(from: DType, to: DType): boolean {
  return from === to || (FLOATS.includes(from) && FLOATS.includes(to));
}

/** Whether it is the way that wideners go. */
export function isWidening(from: DType, to: DType): from is Narrow {
  return (from === 'float16' || from === 'bfloat16') && to === 'float32';
}

/**
 * Little-endian elements of one floating-point type as another, each rounded to nearest even (float64 by way of float32).
 * @param into receives the result where it is given; else a new buffer does
 * @returns the converted bytes, at the beginning of that buffer; `bytes` itself when nothing changes
 */
export function convert(from: DType, to: DType, bytes: Uint8Array, into?: Uint8Array): Uint8Array {
  if (from === to) return bytes;
  const n = bytes.byteLength / bytesPerElement(from);
  const out = into?.subarray(0, n * bytesPerElement(to)) ?? new Uint8Array(n * bytesPerElement(to));
  if (isWidening(from, to)) {
    widen(from, bytes, out);
    return out;
  }
  const source = fromBytes(from, bytes) as Floats;
  const target = fromBytes(to, out) as Floats;
  for (let at = 0; at < n; at += BLOCK) {
    const count = Math.min(BLOCK, n - at);
    take(from, source.subarray(at, at + count));
    give(to, target.subarray(at, at + count));
  }
  return out;
}

type Floats = Uint16Array | Float32Array | Float64Array;

/**
 * Elements converted at a time. They pass through arrays that are the same for ever: compiled code then knows their place
 * and length, which makes the loops two to three times as fast, and they stay in a core's first cache.
 */
const BLOCK = 8192;
const shorts = new Uint16Array(BLOCK);
const singles = new Float32Array(BLOCK);
const singleBits = new Uint32Array(singles.buffer);

/** A block of any type → `singles`. */
function take(from: DType, source: Floats): void {
  if (isWidening(from, 'float32')) widen(from, toBytes(source), toBytes(singles));
  else singles.set(source);
}

/** Copies through a widener's memory. */
function widen(from: Narrow, source: Uint8Array, target: Uint8Array): void {
  const widener = borrowWidener();
  const [place] = widener.sources;
  let written = 0;
  for (let at = 0; at < source.length; at += place.length) {
    const piece = source.subarray(at, at + place.length);
    place.set(piece);
    for (const wide of widener.widen(from, place.subarray(0, piece.length))) {
      target.set(wide, written);
      written += wide.length;
    }
  }
  giveBack(widener);
}

/** `singles` → a block of any type. */
function give(to: DType, target: Floats): void {
  const { length } = target;
  if (to === 'float16') roundToHalves(length);
  else if (to === 'bfloat16') roundToBrain(length);
  const result = to === 'float16' || to === 'bfloat16' ? shorts : singles;
  target.set(length === BLOCK ? result : result.subarray(0, length));
}

/** Normal binary16 range [2^-14, 65520): re-bias the exponent and round the 13 bits that fall off. The rest is rare. */
function roundToHalves(n: number): void {
  for (let i = 0; i < n; i++) {
    const b = singleBits[i]!;
    const m = b & 0x7fffffff;
    shorts[i] =
      m >= 0x38800000 && m < 0x477ff000
        ? ((b >>> 16) & 0x8000) | ((m - 0x38000000 + 0xfff + ((m >>> 13) & 1)) >>> 13)
        : toFloat16(singles[i]!);
  }
}

function roundToBrain(n: number): void {
  for (let i = 0; i < n; i++) {
    const b = singleBits[i]!;
    // A NaN stays one: rounding could carry its significand away.
    shorts[i] = (b & 0x7fffffff) > 0x7f800000 ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
}

/** The bytes of `count` copies of one number, in any element type. */
export function repeated(dtype: DType, value: number, count: number): Uint8Array {
  const size = bytesPerElement(dtype);
  const out = new Uint8Array(size * count);
  if (count === 0 || Object.is(value, 0)) return out;
  out.set(element(dtype, value));
  // Doubling copies: a fill of any width at the speed of memcpy.
  for (let done = size; done < out.length; done *= 2)
    out.copyWithin(done, 0, Math.min(done, out.length - done));
  return out;
}

function element(dtype: DType, value: number): Uint8Array {
  if (FLOATS.includes(dtype)) return convert('float32', dtype, toBytes(Float32Array.of(value))).slice();
  const one = new Uint8Array(bytesPerElement(dtype));
  const view = fromBytes(dtype, one);
  if (view instanceof BigInt64Array || view instanceof BigUint64Array) view[0] = BigInt(Math.round(value));
  else (view as Int32Array)[0] = Math.round(value);
  return one;
}
