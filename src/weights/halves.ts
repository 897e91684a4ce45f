/** Elements at a time: 48 KiB with their results, which stay in a core's first caches. */
const BLOCK = 8192;
/** Where results begin in the memory of the function, behind the halves. */
const RESULTS = 2 * BLOCK;

/**
 * binary16 → float32, exactly. Done by a function in WebAssembly, four numbers per instruction: Node 20 has no such type,
 * and JavaScript no such instructions; a loop over a table takes two to three times as long.
 *
 * Sign, exponent and fraction of a half, put where float32 has them, are the number × 2^-112, also of subnormal ones, and
 * one product by 2^112 is exact. Infinities and NaN (exponent 31) are given float32's highest exponent after it.
 * @param target as long as `source`, or longer
 */
export function widenHalves(source: Uint16Array, target: Float32Array): void {
  kernel ??= instantiate();
  const { halves, singles, widen } = kernel;
  for (let at = 0; at < source.length; at += BLOCK) {
    const piece = source.subarray(at, at + BLOCK);
    halves.set(piece);
    widen(2 * piece.length);
    target.set(piece.length === BLOCK ? singles : singles.subarray(0, piece.length), at);
  }
}

interface Kernel {
  readonly halves: Uint16Array;
  readonly singles: Float32Array;
  /** Widens the halves in so many bytes, at least one, and up to seven more. */
  widen(bytes: number): void;
}

let kernel: Kernel | undefined;

/** What is used here of an interface that Node has and its types leave out. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => {
    readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; readonly widen: Kernel['widen'] };
  };
};

function instantiate(): Kernel {
  const { memory, widen } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes())).exports;
  return {
    halves: new Uint16Array(memory.buffer, 0, BLOCK),
    singles: new Float32Array(memory.buffer, RESULTS, BLOCK),
    widen,
  };
}

/* Instructions as the WebAssembly specification 2.0 encodes them, chapter 5.4. */

const I32 = 0x7f;
const V128 = 0x7b;
const LOOP = [0x03, 0x40];
const BRANCH_IF_TO_LOOP = [0x0d, 0];
const END = 0x0b;
const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const tee = (local: number): number[] => [0x22, local];
const i32 = (value: number): number[] => [0x41, ...signed(value)];
const [ADD, LESS_UNSIGNED, SHIFT_LEFT] = [0x6a, 0x49, 0x74];
const vector = (opcode: number, ...rest: readonly number[]): number[] => [0xfd, ...unsigned(opcode), ...rest];
/** Of 16 bytes at an alignment of 2^4. */
const load = vector(0, 4, 0);
const store = (offset: number): number[] => vector(11, 4, ...unsigned(offset));
/** Four times the same constant. */
const every = (bits: number): number[] =>
  vector(12, ...new Uint8Array(Uint32Array.of(bits, bits, bits, bits).buffer));
const [and, or] = [vector(78), vector(80)];
const [extendLow, extendHigh] = [vector(167), vector(168)];
const [equalI32, shiftLeftI32, multiplyF32] = [vector(55), vector(171), vector(230)];

/** 2^112 as float32. */
const SCALE = 0x77800000;
/** Exponent 31 of a half where float32 has its exponent, and the highest that there is. */
const [SPECIAL, HIGHEST] = [0x0f800000, 0x7f800000];

/** (bytes: i32), with the locals 1: place of the halves, 2: eight halves, 3: four of them where float32 has its bits. */
function moduleBytes(): Uint8Array {
  // Extended with its sign and shifted, a half has copies of the sign above its exponent, which the mask takes away.
  const four = (extend: readonly number[], offset: number): number[] => [
    ...[...get(1), ...i32(1), SHIFT_LEFT],
    ...[...get(2), ...extend, ...i32(13), ...shiftLeftI32, ...every(0x8fffe000), ...and, ...tee(3)],
    ...[...every(SCALE), ...multiplyF32],
    ...[...get(3), ...every(SPECIAL), ...and, ...every(SPECIAL), ...equalI32, ...every(HIGHEST), ...and],
    ...[...or, ...store(RESULTS + offset)],
  ];
  const body = [
    ...[...LOOP, ...get(1), ...load, ...set(2)],
    ...[...four(extendLow, 0), ...four(extendHigh, 16)],
    ...[...get(1), ...i32(16), ADD, ...tee(1), ...get(0), LESS_UNSIGNED, ...BRANCH_IF_TO_LOOP, END, END],
  ];
  const locals = [2, 1, I32, 2, V128];
  return Uint8Array.from([
    ...[0, ...text('asm'), 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 0]), // one type of function
    ...section(3, [1, 0]), // one function, of that type
    ...section(5, [1, 0, 1]), // one memory of 64 KiB
    ...section(7, [2, ...sized(text('memory')), 2, 0, ...sized(text('widen')), 0, 0]), // what is exported
    ...section(10, [1, ...sized([...locals, ...body])]), // its code
  ]);
}

const section = (id: number, content: readonly number[]): number[] => [id, ...sized(content)];
const sized = (content: readonly number[]): number[] => [...unsigned(content.length), ...content];
const text = (ascii: string): number[] => [...Buffer.from(ascii, 'latin1')];

/** LEB128: seven bits a byte, the lowest first. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  return value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}
