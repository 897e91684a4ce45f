import { bytesPerElement, type DType, fromBytes, fromFloat16, toBytes, toFloat16 } from '../core/tensor.ts';

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
  if (from === 'float32') narrow(fromBytes('float32', bytes) as Float32Array, to, out);
  else if (to === 'float32') widen(from, bytes, fromBytes('float32', out) as Float32Array);
  else {
    const middle = new Float32Array(n);
    widen(from, bytes, middle);
    narrow(middle, to, out);
  }
  return out;
}

let halves: Float32Array | undefined;

/** All 65,536 binary16 numbers; made once, on first use. */
function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => fromFloat16(bits));
  return halves;
}

function widen(from: DType, bytes: Uint8Array, out: Float32Array): void {
  const source = fromBytes(from, bytes);
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  if (from === 'float16') {
    const table = halfTable();
    for (let i = 0; i < out.length; i++) out[i] = table[(source as Uint16Array)[i]!]!;
  } else if (from === 'bfloat16') {
    for (let i = 0; i < out.length; i++) bits[i] = (source as Uint16Array)[i]! << 16;
  } else {
    out.set(source as Float64Array);
  }
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

function narrow(source: Float32Array, to: DType, out: Uint8Array): void {
  const target = fromBytes(to, out);
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  if (to === 'float16') toHalf(source, bits, target as Uint16Array);
  else if (to === 'bfloat16') toBrain(bits, target as Uint16Array);
  else (target as Float64Array).set(source);
}

/** Normal binary16 range [2^-14, 65520): re-bias the exponent and round the 13 bits that fall off. The rest is rare. */
function toHalf(source: Float32Array, bits: Uint32Array, out: Uint16Array): void {
  for (let i = 0; i < source.length; i++) {
    const b = bits[i]!;
    const m = b & 0x7fffffff;
    out[i] =
      m >= 0x38800000 && m < 0x477ff000
        ? ((b >>> 16) & 0x8000) | ((m - 0x38000000 + 0xfff + ((m >>> 13) & 1)) >>> 13)
        : toFloat16(source[i]!);
  }
}

function toBrain(bits: Uint32Array, out: Uint16Array): void {
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!;
    // A NaN stays one: rounding could carry its significand away.
    out[i] = (b & 0x7fffffff) > 0x7f800000 ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
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
