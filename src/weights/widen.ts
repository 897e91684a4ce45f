/** Bytes read at a time: large beside what it costs to have another thread read them. */
const SOURCE_BYTES = 2 << 20;
/** Bytes widened at a time: a core's second cache holds them with their results. */
const STEP_BYTES = 256 << 10;
/** Where results lie: behind two sources. */
const RESULTS = 2 * SOURCE_BYTES;

/** The types of 16 bits. */
export type Narrow = 'float16' | 'bfloat16';

/**
 * float16 or bfloat16 → float32, exactly; NaN as some NaN. Done by WebAssembly in its own memory: Node 20 has no instructions
 * for it in JavaScript, and where files are read straight into that memory and results are used there, nothing is copied.
 */
export interface Widener {
  /** Where the numbers to be widened are put: two places, so that one is filled while the other is worked on. */
  readonly sources: readonly [Uint8Array, Uint8Array];
  /** What is in a part of a source, from its beginning, as float32 in pieces; each is valid until the next one is asked for. */
  widen(from: Narrow, part: Uint8Array): Iterable<Uint8Array>;
}

const idle: Widener[] = [];

/** A widener that nothing else uses until it is given back; streams that take turns need one each. */
export function borrowWidener(): Widener {
  return idle.pop() ?? instantiate();
}

export function giveBack(widener: Widener): void {
  idle.push(widener);
}

/** What is used here of an interface that Node has and its types leave out. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => {
    readonly exports: { readonly memory: { readonly buffer: ArrayBuffer } } & Readonly<
      Record<Narrow, (at: number, end: number, to: number) => void>
    >;
  };
};

let compiled: object | undefined;

function instantiate(): Widener {
  compiled ??= new WebAssembly.Module(moduleBytes());
  const { exports } = new WebAssembly.Instance(compiled);
  const { buffer } = exports.memory;
  return {
    sources: [new Uint8Array(buffer, 0, SOURCE_BYTES), new Uint8Array(buffer, SOURCE_BYTES, SOURCE_BYTES)],
    *widen(from, part) {
      const end = part.byteOffset + part.byteLength;
      for (let at = part.byteOffset; at < end; at += STEP_BYTES) {
        const next = Math.min(at + STEP_BYTES, end);
        exports[from](at, next, RESULTS - 2 * at);
        yield new Uint8Array(buffer, RESULTS, 2 * (next - at));
      }
    },
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
const load = (offset: number): number[] => vector(0, 4, ...unsigned(offset));
const store = (offset: number): number[] => vector(11, 4, ...unsigned(offset));
/** Eight times the same 16 bits. */
const eight = (bits: number): number[] => vector(12, ...new Uint8Array(new Uint16Array(8).fill(bits).buffer));
/** Four times the same 32 bits, of which only the upper half is not zero. */
const four = (upper: number): number[] =>
  vector(12, ...new Uint8Array(new Uint32Array(4).fill(upper << 16).buffer));
/** 16 bits each of two vectors in turn as 32, the first's below: of their lanes 0 to 3, or 4 to 7. */
const interleave = (half: 0 | 1): number[] =>
  vector(13, ...[0, 2, 4, 6].flatMap((i) => [0, 1, 16, 17].map((byte) => 8 * half + i + byte)));
const [and, or] = [vector(78), vector(80)];
const [shiftLeft, shiftRight] = [vector(139), vector(140)];
const [subtract, multiply, minimum] = [vector(229), vector(230), vector(234)];

/** Parameters of both functions: where the next numbers are, where they end, and what leads from twice the one to its result. */
const [AT, LAST, TO] = [0, 1, 2];
/** Locals: vectors of eight, with parts of their results; one of four. */
const [NUMBERS, LOW, HIGH, FACTOR, SINGLES] = [3, 4, 5, 6, 7];
/** The address of a result. */
const target = [...get(AT), ...i32(1), SHIFT_LEFT, ...get(TO), ADD];
/** Vectors a turn of the loop. */
const UNROLLED = 2;

/** −2^98 and ±2^-112 as float32, their upper halves. */
const [LEAST, SCALE] = [0xf080, 0x0780];

/**
 * Exponents of halves raised by 224: the highest, that of infinities and NaN, is then float32's highest, and a normal half
 * is its number × 2^112. A subnormal one, fraction f, is a = 2^97 (1 + f) where 2^98 f is right, which is
 * a + min(a − 2^98, 0); that leaves all others as they are. One product by ±2^-112 puts scale and sign right.
 * Nothing in this is a subnormal float32, with which processors take many times as long.
 *
 * Held is −a: with the sign bit set, an arithmetic shift fills in the raised exponent.
 */
const widenHalves = (store: (half: 0 | 1) => number[]): number[] => [
  ...[...get(NUMBERS), ...i32(13), ...shiftLeft, ...set(LOW)],
  ...[...get(NUMBERS), ...eight(0x8000), ...or, ...i32(3), ...shiftRight, ...set(HIGH)],
  ...[...get(NUMBERS), ...eight(0x8000), ...and, ...eight(SCALE), ...or, ...set(FACTOR)],
  ...([0, 1] as const).flatMap((half) => [
    ...target,
    ...[...four(LEAST), ...get(LOW), ...get(HIGH), ...interleave(half), ...tee(SINGLES), ...subtract],
    ...[...four(0), ...minimum, ...get(SINGLES), ...subtract],
    ...[...four(0), ...get(FACTOR), ...interleave(half), ...multiply],
    ...store(half),
  ]),
];

/** The upper half of a float32, above zeros. */
const widenBrains = (store: (half: 0 | 1) => number[]): number[] =>
  ([0, 1] as const).flatMap((half) => [
    ...target,
    ...[...four(0), ...get(NUMBERS), ...interleave(half)],
    ...store(half),
  ]);

/** (at: i32, end: i32, to: i32), at least one byte; up to 31 more are widened. */
function widening(eightNumbers: typeof widenHalves): number[] {
  const turn = Array.from({ length: UNROLLED }, (_, i) => [
    ...[...get(AT), ...load(16 * i), ...set(NUMBERS)],
    ...eightNumbers((half) => store(32 * i + 16 * half)),
  ]);
  const next = [...get(AT), ...i32(16 * UNROLLED), ADD, ...tee(AT)];
  const locals = [1, 5, V128];
  return [
    ...locals,
    ...LOOP,
    ...turn.flat(),
    ...next,
    ...get(LAST),
    LESS_UNSIGNED,
    ...BRANCH_IF_TO_LOOP,
    END,
    END,
  ];
}

function moduleBytes(): Uint8Array {
  // One more, since up to 31 numbers more are widened than are asked for.
  const pages = ((RESULTS + 2 * STEP_BYTES) >> 16) + 1;
  const functions = { float16: widening(widenHalves), bfloat16: widening(widenBrains) } satisfies Record<
    Narrow,
    number[]
  >;
  const exported = Object.keys(functions).map((name, i) => [...sized(text(name)), 0, i]);
  return Uint8Array.from([
    ...[0, ...text('asm'), 1, 0, 0, 0],
    ...section(1, [1, 0x60, 3, I32, I32, I32, 0]), // one type of function
    ...section(3, [2, 0, 0]), // two functions, of that type
    ...section(5, [1, 0, ...unsigned(pages)]), // one memory
    ...section(7, [3, ...sized(text('memory')), 2, 0, ...exported.flat()]), // what is exported
    ...section(10, [2, ...Object.values(functions).flatMap(sized)]), // their code
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
