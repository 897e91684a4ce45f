import type { Random } from '../../../src/core/random.ts';

/** Values that break careless length and offset arithmetic, as varints. */
const VARINTS: readonly (readonly number[])[] = [
  [0x00],
  [0x7f],
  [0xff, 0xff, 0x03],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

/**
 * One to four random changes of a file: flipped bits, a byte set, a cut, a piece removed, doubled, or moved, a hostile
 * number written over or into it.
 */
export function mutate(source: Uint8Array, draw: Random): Uint8Array {
  let bytes: Uint8Array = source.slice();
  const changes = 1 + draw.below(4);
  for (let i = 0; i < changes && bytes.length > 0; i++) bytes = change(bytes, draw);
  return bytes;
}

function change(bytes: Uint8Array, draw: Random): Uint8Array {
  const at = draw.below(bytes.length);
  const piece = bytes.slice(at, at + 1 + draw.below(64));
  switch (draw.below(7)) {
    case 0:
      bytes[at]! ^= 1 << draw.below(8);
      return bytes;
    case 1:
      bytes[at] = draw.below(256);
      return bytes;
    case 2:
      return bytes.slice(0, at);
    case 3:
      return joined(bytes.subarray(0, at), bytes.subarray(at + piece.length));
    case 4:
      return joined(bytes.subarray(0, at), piece, bytes.subarray(at));
    case 5:
      bytes.set(draw.pick(VARINTS).slice(0, bytes.length - at), at);
      return bytes;
    default: {
      const to = draw.below(bytes.length);
      bytes.set(piece.subarray(0, bytes.length - to), to);
      return bytes;
    }
  }
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
