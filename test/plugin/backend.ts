import { cpuDevice } from '../../src/backends/cpu-device.ts';
import { reference } from '../../src/backends/reference.ts';
import { type Backend, defineBackend } from '../../src/index.ts';

/**
 * A backend in one file: say whether it can run here, and open graphs. This one runs the interpreter and can be told to be
 * wrong or slow, which is how parity and the gate are tested.
 */
export const plugin = (name: string, fault?: { readonly add?: number; readonly sleepMs?: number }): Backend =>
  defineBackend({
    name,
    probe: async () => ({ available: true, version: '1', device: cpuDevice(), precisions: ['fp32'] }),
    async open(artifact, options) {
      const session = await reference.open(artifact, options);
      return {
        ...session,
        async run(feeds, fetch) {
          const outputs = await session.run(feeds, fetch);
          if (fault?.sleepMs) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fault.sleepMs);
          if (fault?.add)
            for (const out of Object.values(outputs)) (out.data as Float32Array)[0]! += fault.add;
          return outputs;
        },
      };
    },
  });
