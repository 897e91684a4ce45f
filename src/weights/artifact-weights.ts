import { VersusError } from '../core/errors.ts';
import type { Param } from '../core/graph.ts';
import type { WeightSource } from '../core/model.ts';
import { toBytes } from '../core/tensor.ts';
import { CHUNK_BYTES, openSafetensors } from './safetensors.ts';

/** Where an artifact's numbers came from. */
export interface Origin {
  readonly id: string;
  readonly content: string;
  readonly label: string;
  readonly trained: boolean;
}

/** The numbers of an artifact, read from its `weights.safetensors`; constants come from the parameter itself. */
export async function artifactWeights(path: string, origin: Origin): Promise<WeightSource> {
  const file = await openSafetensors(path);
  return {
    ...origin,
    read: (param, into) => {
      if (param.data) return once(toBytes(param.data));
      const info = file.info(param.name);
      if (!info || info.dtype !== param.dtype || String(info.shape) !== String(param.shape))
        throw unlike(path, param);
      // All at once where there is room for it: another thread reads it then.
      return file.stream(param.name, into?.byteLength ?? CHUNK_BYTES, into);
    },
    close: () => file.close(),
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

function unlike(path: string, param: Param): VersusError {
  return new VersusError('input', `there is no ${param.dtype} [${param.shape}] named ${param.name}`, {
    where: path,
    next: 'versus cache clean, and run again',
  });
}
