import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { VersusError } from '../core/errors.ts';
import type { DType, Tensor, Tensors } from '../core/tensor.ts';
import { float32, int64, toNumbers } from '../core/tensor.ts';
import { readSafetensors } from '../weights/index.ts';

/** What an io.safetensors holds: the inputs that a reference implementation got and the outputs that it gave. */
export interface Recorded {
  readonly inputs: Tensors;
  readonly expected: Tensors;
}

/** All tensors of a folder's io.safetensors. @throws VersusError `usage` when it is missing, `input` when it is damaged */
export async function recordingIn(dir: string): Promise<Tensors> {
  const path = join(dir, 'io.safetensors');
  if (existsSync(path)) return readSafetensors(path);
  throw new VersusError('usage', 'there is no io.safetensors', {
    where: dir,
    next: 'record the inputs and outputs of a reference run there, as tensors input.* and output.*',
  });
}

/** The same, sorted by the prefixes `input.` and `output.`. @throws VersusError `input` when there is nothing to compare */
export function recordedFrom(tensors: Tensors, dir: string): Recorded {
  const where = join(dir, 'io.safetensors');
  const inputs: Tensors = {};
  const expected: Tensors = {};
  for (const [name, value] of Object.entries(tensors)) {
    if (name.startsWith('input.')) inputs[name.slice('input.'.length)] = value;
    else if (name.startsWith('output.')) expected[name.slice('output.'.length)] = value;
  }
  if (Object.keys(inputs).length === 0 || Object.keys(expected).length === 0) {
    throw new VersusError('input', 'it has no input.* or no output.* tensors', { where });
  }
  const empty = Object.keys(expected).find((name) => expected[name]!.data.length === 0);
  if (empty !== undefined) {
    throw new VersusError('input', `output.${empty} has no elements to compare`, { where });
  }
  return { inputs, expected };
}

const WIDER: Readonly<Partial<Record<DType, readonly DType[]>>> = {
  float32: ['float16', 'bfloat16', 'float64'],
  int64: ['int32', 'int16', 'int8', 'uint8', 'bool', 'float32'],
};

/**
 * A recorded input as the graph takes it; numbers recorded in another width are converted.
 * @throws VersusError `input` when it is missing or has another number of dimensions
 */
export function inputOf(
  recorded: Recorded,
  name: string,
  rank: number,
  dtype: DType | null = 'float32',
): Tensor {
  const found = recorded.inputs[name];
  if (!found) throw new VersusError('input', `io.safetensors lacks input.${name}`);
  if (found.shape.length !== rank) {
    throw new VersusError('input', `input.${name} has shape [${found.shape}], not ${rank} dimensions`);
  }
  if (dtype === null || !WIDER[dtype]?.includes(found.dtype)) return found;
  const make = dtype === 'float32' ? float32 : int64;
  return make(found.shape, toNumbers(found));
}

/** The same for token ids and masks, as int64. */
export function idsOf(recorded: Recorded, name: string): Tensor {
  return inputOf(recorded, name, 2, 'int64');
}
