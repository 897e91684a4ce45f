import { VersusError } from '../core/errors.ts';
import type { Tensor, Tensors } from '../core/tensor.ts';
import { int64, toNumbers } from '../core/tensor.ts';

/** What an io.safetensors holds: the inputs that a reference implementation got and the outputs that it gave. */
export interface Recorded {
  readonly inputs: Tensors;
  readonly expected: Tensors;
}

/**
 * Sorts an io.safetensors by the prefixes `input.` and `output.`.
 * @throws VersusError `unsupported` for a recorded training run, `input` when there is nothing to compare
 */
export function recordedFrom(tensors: Tensors, where: string): Recorded {
  const inputs: Tensors = {};
  const expected: Tensors = {};
  for (const [name, value] of Object.entries(tensors)) {
    if (/^(grad|final|after_forward)\./.test(name)) {
      throw new VersusError(
        'unsupported',
        'it records training (gradients, updated weights), and only inference is verified',
        {
          where: `${where}, tensor ${name}`,
        },
      );
    }
    if (name.startsWith('input.')) inputs[name.slice('input.'.length)] = value;
    else if (name.startsWith('output.')) expected[name.slice('output.'.length)] = value;
  }
  if (Object.keys(inputs).length === 0 || Object.keys(expected).length === 0) {
    throw new VersusError('input', 'it has no input.* or no output.* tensors', { where });
  }
  return { inputs, expected };
}

/** A recorded input. @throws VersusError `input` when it is missing or has another number of dimensions */
export function inputOf(recorded: Recorded, name: string, rank: number): Tensor {
  const found = recorded.inputs[name];
  if (!found) throw new VersusError('input', `io.safetensors lacks input.${name}`);
  if (found.shape.length !== rank) {
    throw new VersusError('input', `input.${name} has shape [${found.shape}], not ${rank} dimensions`);
  }
  return found;
}

/** The same for token ids and masks, as int64. */
export function idsOf(recorded: Recorded, name: string): Tensor {
  const found = inputOf(recorded, name, 2);
  return found.dtype === 'int64' ? found : int64(found.shape, toNumbers(found));
}
