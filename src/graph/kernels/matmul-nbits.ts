import {
  type Call,
  fail,
  input,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  refuse,
  scratch,
  store,
} from './kernel.ts';
import { matmulNumbers } from './matmul.ts';

/** Elements of `bits` bits, the first in the lowest bits of a byte; every row starts with a byte of its own. */
function unpack(bytes: ArrayLike<number>, row: number, rowBytes: number, at: number, bits: number): number {
  const perByte = 8 / bits;
  const byte = bytes[row * rowBytes + Math.floor(at / perByte)]!;
  return (byte >> (bits * (at % perByte))) & (2 ** bits - 1);
}

/** Zero point of a block: 2^(bits − 1) unless given, packed like the weight or as numbers of A's type. */
function zeroPoints(
  c: Call,
  blocks: number,
  n: number,
  bits: number,
): (row: number, block: number) => number {
  const zero = c.inputs[3];
  if (!zero) return () => 2 ** (bits - 1);
  if (zero.dtype !== 'uint8') {
    if (zero.data.length !== n * blocks) fail(c, 'the zero points do not fit the blocks');
    const values = numbers(zero);
    return (row, block) => values[row * blocks + block]!;
  }
  const rowBytes = Math.ceil((blocks * bits) / 8);
  if (zero.data.length !== n * rowBytes) fail(c, 'the zero points do not fit the blocks');
  return (row, block) => unpack(zero.data as Uint8Array, row, rowBytes, block, bits);
}

/** The weight of a MatMulNBits node as numbers [K, N], written into `room(K, N)`: (B − zero points) · scales. */
export function unpackedWeight<T extends Float32Array | Float64Array>(
  c: Call,
  room: (k: number, n: number) => T,
): T {
  const [packed, scale] = [input(c, 1), input(c, 2)];
  if (c.inputs[4]) refuse(c, 'a group index');
  const [k, n] = [numberAttr(c, 'K', 0), numberAttr(c, 'N', 0)];
  const [bits, block] = [numberAttr(c, 'bits', 4), numberAttr(c, 'block_size', 0)];
  if (![2, 4, 8].includes(bits)) refuse(c, `a weight of ${bits} bits`);
  if (!(block >= 16) || !(k >= 1) || !(n >= 1)) fail(c, 'K, N and block_size must be sizes');
  const blocks = Math.ceil(k / block);
  const rowBytes = (blocks * block * bits) / 8;
  if (packed.data.length !== n * rowBytes) fail(c, `B has ${packed.data.length} bytes, not ${n * rowBytes}`);
  if (scale.data.length !== n * blocks) fail(c, `${scale.data.length} scales, not ${n * blocks}`);
  const [scales, zeroOf] = [numbers(scale), zeroPoints(c, blocks, n, bits)];
  const weight = room(k, n);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < k; i++) {
      const at = Math.floor(i / block);
      const level = unpack(packed.data as Uint8Array, row, rowBytes, i, bits);
      weight[i * n + row] = (level - zeroOf(row, at)) * scales[row * blocks + at]!;
    }
  }
  return weight;
}

/** Y = A · ((B − zero points) · scales)ᵀ + bias; whatever accuracy is asked for, A is taken as it is. */
const matmulNBits: Kernel = (c) => {
  const [a, bias] = [input(c, 0), c.inputs[5]];
  const weight = unpackedWeight(c, (k, n) => scratch(c, [k, n]));
  const [k, n] = [numberAttr(c, 'K', 0), numberAttr(c, 'N', 0)];
  if (bias && bias.data.length !== n) fail(c, `a bias of ${bias.data.length}, not ${n}`);
  const { shape, values } = matmulNumbers(c, numbers(a), a.shape, weight, [k, n]);
  if (bias) {
    const added = numbers(bias);
    for (let i = 0; i < values.length; i++) values[i]! += added[i % n]!;
  }
  return [store(a.dtype, shape, values)];
};

/** The operators of onnxruntime's own domain. */
export const blocked: KernelTable = { MatMulNBits: matmulNBits };
