/** Training by tfjs's own autograd: what somebody on Node.js would use instead of a step graph. */
import type * as Tf from '@tensorflow/tfjs-core';
import type { AutogradOptions, AutogradSession } from '../../../core/autograd.ts';
import type { OpenOptions, Placement } from '../../../core/backend.ts';
import { VersusError } from '../../../core/errors.ts';
import type { ModelDef } from '../../../core/model.ts';
import { checkFeeds } from '../../feeds.ts';
import { type EngineName, using } from '../engine.ts';
import { AdamW } from './adamw.ts';
import { loadAutograd } from './load.ts';
import { networkOf } from './network.ts';
import { Parameters } from './parameters.ts';
import { TensorPeak } from './peak.ts';

/** A session that says what its tensors took. */
export interface TfjsAutograd extends AutogradSession {
  /** The most bytes that tfjs's tensors held at a time, weights included; what else is open in the process counts. */
  readonly peakBytes: number;
}

/** Engines of which nothing can run elsewhere. */
const SINGLE: Placement = { nodes: {}, share: 1, method: 'single', strays: [] };

/**
 * A model in tfjs's operators, differentiated by `tf.variableGrads` and moved by AdamW. tfjs keeps the activations of what is
 * frozen none the less.
 * @throws VersusError `unsupported` for models that are not written so and other precisions than fp32, `infrastructure` without
 *   tfjs's union package
 */
export async function openAutogradSession(
  name: EngineName,
  model: ModelDef,
  { sizes, weights, trainable, optimiser }: AutogradOptions,
  { precision }: Pick<OpenOptions, 'precision'>,
): Promise<TfjsAutograd> {
  const where = `training ${model.name} by tfjs’s autograd`;
  if (precision !== 'fp32') {
    throw new VersusError('unsupported', `tfjs-${name} trains in fp32 only, not in ${precision}`, { where });
  }
  const engine = await loadAutograd(name);
  const { tf } = engine;
  const { peak, parameters, adamw, network, trained } = await using(engine, async () => {
    const peak = new TensorPeak(tf);
    const parameters = new Parameters(tf, weights);
    try {
      const network = networkOf(model, parameters, sizes);
      parameters.settle();
      const trained = new Map([...parameters.variables].filter(([param]) => trainable?.has(param) ?? true));
      return { peak, parameters, adamw: new AdamW(tf, optimiser, trained), network, trained };
    } catch (error) {
      peak.stop();
      parameters.dispose();
      throw error;
    }
  });
  let steps = 0;
  let closed = false;
  return {
    inputs: network.inputs,
    outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
    options: { engine: name, precision, autograd: true },
    placement: async () => (name === 'wasm' || name === 'cpu' ? SINGLE : null),
    run: async (batch, scalars) => {
      if (closed) throw new VersusError('infrastructure', 'the session is closed', { where });
      checkFeeds(where, network.inputs, batch);
      return using(engine, async () => {
        const { lr, correction1, correction2 } = scalars as {
          lr: number;
          correction1: number;
          correction2: number;
        };
        const { value, grads } = tf.variableGrads(() => network.loss(batch), [...trained.values()]);
        const gradients = [...trained].map(
          ([param, variable]) => [param, variable, grads[variable.name] as Tf.Tensor] as const,
        );
        const factor = adamw.factorOf(gradients.map(([, , gradient]) => gradient));
        for (const [param, variable, gradient] of gradients) {
          adamw.update(param, variable, gradient, { lr, correction1, correction2 }, factor);
          gradient.dispose();
        }
        factor?.dispose();
        const [number] = await value.data();
        value.dispose();
        steps++;
        if (Number.isFinite(number)) return { loss: number! };
        throw new VersusError('input', `the loss of step ${steps} is ${number}`, {
          where,
          next: 'train with a smaller learning rate',
        });
      });
    },
    get peakBytes() {
      return peak.bytes;
    },
    async close() {
      if (closed) return;
      closed = true;
      await using(engine, async () => {
        peak.stop();
        adamw.dispose();
        parameters.dispose();
      });
    },
  };
}
