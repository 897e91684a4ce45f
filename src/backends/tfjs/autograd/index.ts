/** Training by tfjs's own autograd: what somebody on Node.js would use instead of a step graph. */
import type * as Tf from '@tensorflow/tfjs-core';
import { VersusError } from '../../../core/errors.ts';
import type { ModelDef } from '../../../core/model.ts';
import type { Tensors } from '../../../core/tensor.ts';
import { type EngineName, using } from '../engine.ts';
import { AdamW, type AutogradAdamW } from './adamw.ts';
import { loadAutograd } from './load.ts';
import { type AutogradSizes, lossOf } from './network.ts';
import { Parameters } from './parameters.ts';
import { TensorPeak } from './peak.ts';

export type { AutogradAdamW } from './adamw.ts';
export type { AutogradSizes } from './network.ts';

export interface AutogradOptions {
  /** The weights to start from, float32, by the checkpoint's names. */
  readonly weights: Tensors;
  /** Parameters that train; all when left out. tfjs keeps the activations of the others none the less. */
  readonly trainable?: ReadonlySet<string>;
  readonly optimiser: AutogradAdamW;
  /** `wasm` when left out. */
  readonly engine?: EngineName;
}

/** A trainer as far as whoever compares needs one. */
export interface AutogradTrainer {
  /**
   * One step over a batch, fed as our step of the same model is.
   * @param scalars `lr`, `correction1` and `correction2`
   * @throws VersusError `input` when the loss is no finite number
   */
  run(batch: Tensors, scalars: Readonly<Record<string, number>>): Promise<{ readonly loss: number }>;
  /** The most bytes that tfjs's tensors held at a time, weights included; what else is open in the process counts. */
  readonly peakBytes: number;
  close(): Promise<void>;
}

/**
 * A model in tfjs's operators, differentiated by `tf.variableGrads` and moved by AdamW.
 * @throws VersusError `unsupported` for models that are not written so, `infrastructure` without tfjs's union package
 */
export async function autogradTrainer(
  model: ModelDef,
  sizes: AutogradSizes,
  { weights, trainable, optimiser, engine: name = 'wasm' }: AutogradOptions,
): Promise<AutogradTrainer> {
  const engine = await loadAutograd(name);
  const { tf } = engine;
  const { peak, parameters, adamw, loss, trained } = await using(engine, async () => {
    const peak = new TensorPeak(tf);
    const parameters = new Parameters(tf, weights);
    try {
      const loss = lossOf(model, parameters, sizes);
      const trained = new Map([...parameters.variables].filter(([param]) => trainable?.has(param) ?? true));
      return { peak, parameters, adamw: new AdamW(tf, optimiser, trained), loss, trained };
    } catch (error) {
      peak.stop();
      parameters.dispose();
      throw error;
    }
  });
  let steps = 0;
  return {
    run: (batch, scalars) =>
      using(engine, async () => {
        const { lr, correction1, correction2 } = scalars as {
          lr: number;
          correction1: number;
          correction2: number;
        };
        const { value, grads } = tf.variableGrads(() => loss(batch), [...trained.values()]);
        for (const [param, variable] of trained) {
          const gradient = grads[variable.name] as Tf.Tensor;
          adamw.update(param, variable, gradient, { lr, correction1, correction2 });
          gradient.dispose();
        }
        const [number] = await value.data();
        value.dispose();
        steps++;
        if (Number.isFinite(number)) return { loss: number! };
        throw new VersusError('input', `the loss of step ${steps} is ${number}`, {
          where: `training ${model.name} by tfjs’s autograd`,
          next: 'train with a smaller learning rate',
        });
      }),
    get peakBytes() {
      return peak.bytes;
    },
    close: () =>
      using(engine, async () => {
        peak.stop();
        adamw.dispose();
        parameters.dispose();
      }),
  };
}
