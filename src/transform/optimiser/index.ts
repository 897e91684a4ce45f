import { VersusError } from '../../core/errors.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';
import { ADAMW, type AdamW, adamW } from './adamw.ts';
import { accumulated, factorOf, type Gradients, inSingle } from './gradients.ts';
import type { Trained } from './group.ts';
import { type Sgd, sgd } from './sgd.ts';
import { State, type StateTensor } from './state.ts';

export type { AdamW, Gradients, Sgd, StateTensor, Trained };

export type OptimiserSpec = AdamW | Sgd;

/** What an update reads and gives besides the parameters. */
export interface Update {
  /** All that lives from step to step: weights first, then the optimiser's own tensors. */
  readonly state: readonly StateTensor[];
  /** Inputs of one float32 number that change with every step: `lr`, and for AdamW `correction1` and `correction2`. */
  readonly scalars: readonly string[];
  /** Output: the norm of all gradients together, ahead of clipping. */
  readonly norm?: string;
  /** Output: float32 1 where the update was taken, 0 where a gradient had overflowed and all state stayed as it was. */
  readonly finite?: string;
}

/**
 * Appends the nodes of one optimiser step. Everything that changes from step to step is an input, everything that lives from
 * step to step an input `NAME` with an output `next/NAME`.
 *
 * Such a step is bound by memory, so it is written in the fewest passes over tensors of a parameter's size: AdamW takes 11
 * nodes of that size per parameter (10 without decay), SGD 2, with momentum 4. Averaging over micro-batches, undoing the scale
 * of the loss and clipping cost none: a factor that all gradients share goes into the scalars (see `factorOf`).
 *
 * @throws VersusError `usage` for settings out of range, `unsupported` for parameters that are not float32
 */
export function addOptimiser(
  g: GraphBuilder,
  params: readonly Trained[],
  spec: OptimiserSpec,
  options: Gradients = {},
): Update {
  check(spec, options);
  const state = new State(g);
  return g.scope('optimiser', () => {
    const lr = g.input('lr', 'float32', []);
    const sums = params.map((p) => accumulated(g, single(p), state, options, lr));
    const moments = spec.kind === 'adamw' || (spec.momentum ?? 0) > 0;
    const { factor, gradients, norm, finite } = factorOf(g, sums, state, options, moments);
    const corrections = spec.kind === 'adamw' ? ['correction1', 'correction2'] : [];
    const c = corrections.map((name) => g.input(name, 'float32', [])) as [Value, Value];
    const update =
      spec.kind === 'sgd' ? sgd(g, spec, { lr, factor, state }) : adamW(g, spec, { lr, c, factor, state });
    params.forEach(({ name, value }, i) => {
      g.scope(name, () => update({ name, value, gradient: gradients[i]! }));
    });
    if (norm) g.output('gradient_norm', norm);
    if (finite) g.output('finite', g.cast(finite, 'float32'));
    return {
      state: state.tensors,
      scalars: ['lr', ...corrections],
      ...(norm && { norm: 'gradient_norm' }),
      ...(finite && { finite: 'finite' }),
    };
  });

  function single(p: Trained): Trained {
    if (p.value.dtype === 'float32') return { ...p, gradient: inSingle(g, p.gradient) };
    throw new VersusError(
      'unsupported',
      `parameter ${p.name} is ${p.value.dtype}: optimisers update float32`,
      {
        where: `graph ${g.name}`,
        next: 'keep it in float32 and cast it where it is read',
      },
    );
  }
}

/**
 * Appends what a micro-batch does that updates nothing: its gradients go on top of the accumulators.
 * @returns the accumulators; the step graph that updates has them too (`microBatches`), and leaves zeros in them
 */
export function addAccumulation(g: GraphBuilder, params: readonly Trained[]): readonly StateTensor[] {
  const state = new State(g);
  return g.scope('accumulate', () => {
    for (const { name, gradient } of params) {
      const one = inSingle(g, gradient);
      state.add('accumulator', name, one.shape, (before) => g.add(before, one));
    }
    return state.tensors;
  });
}

function check(spec: OptimiserSpec, { clipNorm, microBatches }: Gradients): void {
  const wrong = (what: string): never => {
    throw new VersusError('usage', `optimiser: ${what}`);
  };
  const fraction = (name: string, x: number): void => {
    if (!(x >= 0 && x < 1)) wrong(`${name} must be at least 0 and below 1, not ${x}`);
  };
  if (spec.kind === 'adamw') {
    const { betas = ADAMW.betas, eps = ADAMW.eps } = spec;
    betas.forEach((beta, i) => {
      fraction(`beta${i + 1}`, beta);
    });
    if (!(eps > 0)) wrong(`eps must be above 0, not ${eps}`);
  } else {
    fraction('momentum', spec.momentum ?? 0);
    if (spec.nesterov && !spec.momentum) wrong('nesterov needs momentum');
  }
  if (!((spec.weightDecay ?? 0) >= 0)) wrong(`weight decay must be at least 0, not ${spec.weightDecay}`);
  if (clipNorm !== undefined && !(clipNorm > 0))
    wrong(`the norm to clip at must be above 0, not ${clipNorm}`);
  if (microBatches !== undefined && !(Number.isSafeInteger(microBatches) && microBatches > 0))
    wrong(`micro-batches must be a whole number above 0, not ${microBatches}`);
}
