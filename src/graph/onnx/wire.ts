import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * Reading protobuf messages by field number.
 *
 * Varints, lengths, wire types and UTF-8 are done by `@bufbuild/protobuf`, a maintained library with conformance tests.
 * The dozen messages of onnx.proto are mapped to our records by hand instead of through generated classes, so that tensor
 * bytes stay views into the file's buffer, or stay on disk, and nothing is allocated before its size was checked.
 */
export interface Field {
  readonly wires: readonly WireType[];
  read(reader: BinaryReader, wire: WireType): void;
}
export type Fields = Readonly<Record<number, Field>>;

/** Calls the field's reader for every field that is present; unknown fields and unexpected wire types are skipped. */
export function readMessage(bytes: Uint8Array, fields: Fields): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const field = fields[number];
    if (field?.wires.includes(wire)) field.read(reader, wire);
    else reader.skip(wire, number);
  }
}

/** bytes, or a message that is read later: a view, not a copy. */
export const bytes = (set: (value: Uint8Array) => void): Field => ({
  wires: [WireType.LengthDelimited],
  read: (r) => set(r.bytes()),
});

/** string; text that is not UTF-8 is an error, since names must survive re-encoding. */
export const text = (set: (value: string) => void): Field => ({
  wires: [WireType.LengthDelimited],
  read: (r) => set(r.string(true)),
});

/** int32, int64 or enum. */
export const integer = (set: (value: bigint) => void): Field => ({
  wires: [WireType.Varint],
  read: (r) => set(BigInt(r.int64())),
});

export const float = (set: (value: number) => void): Field => ({
  wires: [WireType.Bit32],
  read: (r) => set(r.float()),
});

/** repeated int32, int64, packed or not. */
export const integers = (push: (value: bigint) => void): Field => ({
  wires: [WireType.Varint, WireType.LengthDelimited],
  read: (r, wire) => packed(r, wire, (s) => push(BigInt(s.int64()))),
});

/** repeated uint64, packed or not. */
export const unsigned = (push: (value: bigint) => void): Field => ({
  wires: [WireType.Varint, WireType.LengthDelimited],
  read: (r, wire) => packed(r, wire, (s) => push(BigInt(s.uint64()))),
});

/** repeated float, packed or not. */
export const floats = (push: (value: number) => void): Field => ({
  wires: [WireType.Bit32, WireType.LengthDelimited],
  read: (r, wire) => packed(r, wire, (s) => push(s.float())),
});

/** repeated double, packed or not. */
export const doubles = (push: (value: number) => void): Field => ({
  wires: [WireType.Bit64, WireType.LengthDelimited],
  read: (r, wire) => packed(r, wire, (s) => push(s.double())),
});

function packed(reader: BinaryReader, wire: WireType, one: (reader: BinaryReader) => void): void {
  if (wire !== WireType.LengthDelimited) {
    one(reader);
    return;
  }
  const inner = new BinaryReader(reader.bytes());
  while (inner.pos < inner.len) one(inner);
}
