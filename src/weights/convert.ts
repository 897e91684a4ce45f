import { bytesPerElement, type DType, fromBytes, toBytes, toFloat16 } from '../core/tensor.ts';
import { widenHalves } from './halves.ts';

const FLOATS: readonly DType[] = ['float32', 'float16', 'bfloat16', 'float64'];

/** Whether `convert` knows the way: between floating-point types, or no change at all. */
export function convertible(from: DType, to: DType): boolean {
  return from === to || (FLOATS.includes(from) && FLOATS.includes(to));
}

/**
 * Little-endian elements of one floating-point type as another, each rounded to nearest even (float64 by way of float32).
 * @param into receives the result where it is given, with room for `n + 1` elements; else a new buffer does
 * @returns the converted bytes, somewhere in that buffer; `bytes` itself when nothing changes
 */
export function convert(from: DType, to: DType, bytes: Uint8Array, into?: Uint8Array): Uint8Array {
  if (from === to) return bytes;
  const n = bytes.byteLength / bytesPerElement(from);
  if (from === 'bfloat16' && to === 'float32') {
    return widenBrain(fromBytes(from, bytes) as Uint16Array, into ?? new Uint8Array(4 * n + 4));
  }
  const out = into?.subarray(0, n * bytesPerElement(to)) ?? new Uint8Array(n * bytesPerElement(to));
  const source = fromBytes(from, bytes) as Floats;
  const target = fromBytes(to, out) as Floats;
  if (from === 'float16' && to === 'float32') {
    widenHalves(source as Uint16Array, target as Float32Array);
    return out;
  }
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
  if (from === 'float16') widenHalves(source as Uint16Array, singles);
  else if (from === 'bfloat16') {
    singleBits.set(source);
    for (let i = 0; i < source.length; i++) singleBits[i]! <<= 16;
  } else singles.set(source);
}

/** `singles` → a block of any type. */
function give(to: DType, target: Floats): void {
  const { length } = target;
  if (to === 'float16') roundToHalves(length);
  else if (to === 'bfloat16') roundToBrain(length);
  const result = to === 'float16' || to === 'bfloat16' ? shorts : singles;
  target.set(length === BLOCK ? result : result.subarray(0, length));
}

/**
 * bits = source << 16 at the speed of a copy: numbers of 4 bytes are laid from byte 4 on, and the result begins two bytes
 * before them, where each number's own upper half stands above the zeros of the one before.
 */
function widenBrain(source: Uint16Array, out: Uint8Array): Uint8Array {
  new Uint32Array(out.buffer, out.byteOffset + 4, source.length).set(source);
  out.fill(0, 2, 4);
  return out.subarray(2, 2 + 4 * source.length);
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
