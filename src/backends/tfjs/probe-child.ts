/** Runs alone in a short-lived process: a driver may abort it without harm to the caller. Argument: the engine. */
import { reasonOf, VersusError } from '../../core/errors.ts';
import { type EngineName, loadEngine } from './engine.ts';
import type { ProbeAnswer } from './probe.ts';

const answer = await prove(process.argv[2] as EngineName).catch(
  (error: unknown): ProbeAnswer => ({
    reason: reasonOf(error),
    fix: error instanceof VersusError ? (error.next ?? null) : null,
  }),
);
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit(0));

async function prove(name: EngineName): Promise<ProbeAnswer> {
  const { tf, version, device } = await loadEngine(name);
  const image = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
  const filter = tf.tensor4d([1, 1, 1, 1], [2, 2, 1, 1]);
  const found = [
    ...(await tf.conv2d(image, filter, 1, 'valid').data()),
    ...(await tf.matMul(tf.tensor2d([1, 2], [1, 2]), tf.tensor2d([3, 4], [2, 1])).data()),
  ];
  if (found.length !== 2 || found[0] !== 10 || found[1] !== 11) {
    return { reason: `tfjs-${name} computes ${found} where 10,11 is right`, fix: null };
  }
  return { version, device };
}
