import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FileCursor } from './cursor.ts';

/** Initialisers up to this size are read with the model: shape vectors, scalars, small biases. */
const INLINE_BYTES = 4096;
/** All of a file but its large initialisers; beyond this it is no model that a person would call small in structure. */
const MAX_SKELETON = 512 * 1024 * 1024;

const LEN = WireType.LengthDelimited;
const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR_RAW_DATA = 9;

/** Location of data that lie in the model's own file; no file name contains it, so no foreign file can claim it. */
export const IN_THIS_FILE = '\0';

/**
 * The model without the bytes of its large initialisers, so that a file of gigabytes is read in megabytes: each large
 * `raw_data` is replaced by external data at `IN_THIS_FILE` with its offset in the file.
 *
 * @throws VersusError `input` when lengths lead out of the file
 */
export function skeletonOf(fd: number, size: number): Uint8Array {
  const cursor = new FileCursor(fd, size);
  const w = new BinaryWriter();
  let copied = 0;
  const budget = (bytes: number): number => {
    copied += bytes;
    if (copied > MAX_SKELETON) cursor.fail(`more than ${MAX_SKELETON} bytes besides its initialisers`);
    return bytes;
  };
  /** Copies the fields of a message that ends at `end`, but gives those that `special` wants to it. */
  const fields = (end: number, special: (field: number, length: number) => boolean): void => {
    while (cursor.pos < end) {
      const tag = cursor.varint();
      const field = Math.floor(tag / 8);
      const wire = tag % 8;
      if (field < 1 || field > 2 ** 29 - 1) cursor.fail(`a field with number ${field}`);
      if (wire === LEN) {
        const length = cursor.varint();
        if (length > end - cursor.pos)
          cursor.fail(`a field of ${length} bytes where ${end - cursor.pos} are left`);
        if (special(field, length)) continue;
        w.tag(field, wire).bytes(cursor.take(budget(length)));
      } else if (wire === WireType.Varint) w.tag(field, wire).raw(cursor.rawVarint());
      else if (wire === WireType.Bit64) w.tag(field, wire).raw(cursor.take(8));
      else if (wire === WireType.Bit32) w.tag(field, wire).raw(cursor.take(4));
      else cursor.fail(`wire type ${wire}`);
      budget(16);
    }
    if (cursor.pos !== end) cursor.fail('a field passes the end of its message');
  };
  const initialiser = (field: number, length: number): boolean => {
    if (field !== GRAPH_INITIALIZER || length <= INLINE_BYTES) return false;
    w.tag(field, LEN).fork();
    let data: { offset: number; length: number } | undefined;
    fields(cursor.pos + length, (inner, bytes) => {
      if (inner !== TENSOR_RAW_DATA || bytes <= INLINE_BYTES) return false;
      data = { offset: cursor.pos, length: bytes };
      cursor.skip(bytes);
      return true;
    });
    if (data) reference(w, data.offset, data.length);
    w.join();
    return true;
  };
  fields(size, (field, length) => {
    if (field !== MODEL_GRAPH) return false;
    w.tag(field, LEN).fork();
    fields(cursor.pos + length, initialiser);
    w.join();
    return true;
  });
  return w.finish();
}

function reference(w: BinaryWriter, offset: number, length: number): void {
  for (const [key, value] of Object.entries({ location: IN_THIS_FILE, offset, length })) {
    w.tag(13, LEN).fork();
    w.tag(1, LEN).string(key);
    w.tag(2, LEN).string(String(value));
    w.join();
  }
  w.tag(14, WireType.Varint).int32(1);
}
