/** Writes an artifact, and says so once the first of its numbers are written; then it waits for its end. */
import { prepareArtifacts, safetensors } from '../../src/weights/index.ts';
import { tinyModel } from './tiny-model.ts';

const spec = safetensors(process.argv[2]!);
const weights: typeof spec = {
  label: spec.label,
  open: async (params) => {
    const source = await spec.open(params);
    let tensors = 0;
    return {
      ...source,
      async *read(param, into) {
        if (tensors++ === 1) {
          process.send!('half written');
          await new Promise((resolve) => setTimeout(resolve, 60_000));
        }
        yield* source.read(param, into);
      },
    };
  },
};
const options = { cacheDir: process.argv[3]!, maxBytes: 1e9, precision: 'fp32' } as const;
await prepareArtifacts({ ...tinyModel('tiny', 64), weights }, options);
