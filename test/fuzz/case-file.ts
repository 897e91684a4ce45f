import { readFileSync, writeFileSync } from 'node:fs';
import { reasonOf, VersusError } from '../../src/core/errors.ts';
import { type DType, fromBytes, type Tensor, type Tensors, toBytes } from '../../src/core/tensor.ts';
import { decodeOnnx, encodeOnnx } from '../../src/graph/onnx/index.ts';
import { show } from './show.ts';
import type { FuzzCase } from './sketch.ts';

interface Stored {
  /** For people; nothing reads it. */
  readonly shown: readonly string[];
  readonly found: string;
  /** The model as ONNX and the feeds, in base64. */
  readonly model: string;
  readonly feeds: Readonly<Record<string, { dtype: DType; shape: readonly number[]; data: string }>>;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

/** Keeps a case, so that `scripts/fuzz.ts --replay` can run it again. */
export function saveCase(path: string, test: FuzzCase, found: string): void {
  const stored: Stored = {
    shown: show(test).split('\n'),
    found,
    model: base64(encodeOnnx(test.graph)),
    feeds: Object.fromEntries(
      Object.entries(test.feeds).map(([name, t]) => [
        name,
        { dtype: t.dtype, shape: t.shape, data: base64(toBytes(t.data)) },
      ]),
    ),
  };
  writeFileSync(path, `${JSON.stringify(stored, null, 1)}\n`);
}

/** @throws VersusError `usage` when the file holds no case */
export function loadCase(path: string): FuzzCase {
  try {
    const stored = JSON.parse(readFileSync(path, 'utf8')) as Stored;
    const feeds: Tensors = {};
    for (const [name, { dtype, shape, data }] of Object.entries(stored.feeds)) {
      const t: Tensor = { dtype, shape, data: fromBytes(dtype, bytesOf(data)) };
      feeds[name] = t;
    }
    return { graph: decodeOnnx(bytesOf(stored.model)), feeds };
  } catch (error) {
    throw new VersusError('usage', `not a case of the fuzzer: ${reasonOf(error)}`, {
      where: path,
      next: 'name a file that scripts/fuzz.ts wrote',
    });
  }
}
