import type { Random } from '../../src/core/random.ts';

const NUMBERS = [
  '0',
  '1',
  '-1',
  '1e9',
  '4294967296',
  '9007199254740991',
  '9007199254740993',
  '1.5',
  '00',
  '',
];
const TEXTS = [
  '"F64"',
  '"F8_E4M3"',
  '"__metadata__"',
  '"\\ud800"',
  '[',
  ']',
  '{',
  '}',
  ',',
  ':',
  '"',
  '\\',
  'null',
  '\u0000',
  '[[',
];

function splice(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(Math.min(bytes.length, at + remove))]);
}

/** Replaces one run of digits of the header by a number that is likely to hurt. */
function otherNumber(bytes: Uint8Array, r: Random): Uint8Array {
  const header = headerOf(bytes);
  const runs = [...header.matchAll(/\d+/g)];
  if (runs.length === 0) return bytes;
  const run = r.pick(runs);
  return withHeader(
    bytes,
    header.slice(0, run.index) + r.pick(NUMBERS) + header.slice(run.index + run[0].length),
  );
}

/** Puts structural text into the header, keeping the length prefix true, so that parsing gets that far. */
function otherText(bytes: Uint8Array, r: Random): Uint8Array {
  const header = headerOf(bytes);
  const at = r.below(header.length);
  return withHeader(bytes, header.slice(0, at) + r.pick(TEXTS) + header.slice(at + r.below(3)));
}

function headerOf(bytes: Uint8Array): string {
  const length = Number(Buffer.from(bytes).readBigUInt64LE());
  return Buffer.from(bytes.subarray(8, 8 + length)).toString('latin1');
}

function withHeader(bytes: Uint8Array, header: string): Uint8Array {
  const raw = Buffer.from(header, 'latin1');
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(raw.length));
  return Buffer.concat([prefix, raw, bytes.subarray(8 + headerOf(bytes).length)]);
}

/** One random damage to a valid safetensors file. */
export function mutate(bytes: Uint8Array, r: Random): Uint8Array {
  const out = Uint8Array.from(bytes);
  const header = 8 + headerOf(bytes).length;
  switch (r.below(8)) {
    case 0:
      out[r.below(header)]! ^= 1 << r.below(8);
      return out;
    case 1:
      out[r.below(header)] = r.below(256);
      return out;
    case 2:
      return out.subarray(0, r.below(out.length));
    case 3:
      new DataView(out.buffer).setBigUint64(0, BigInt(r.below(2 ** 32)) << BigInt(r.below(33)), true);
      return out;
    case 4:
      return splice(out, r.below(out.length), 0, out.subarray(0, r.below(64)));
    case 5:
      return splice(out, r.below(out.length), 1 + r.below(32), new Uint8Array());
    case 6:
      return otherText(out, r);
    default:
      return otherNumber(out, r);
  }
}
