import type { Metric, Workload } from '../core/workload.ts';
import type { TrainParams } from './train-setup.ts';

export type { TrainParams } from './train-setup.ts';

const timed = (name: string, of: 'duration' | 'rate', unit: string, more: Partial<Metric> = {}): Metric => ({
  ...{ name, unit, of, better: of === 'rate' ? 'higher' : 'lower', assume: 'nothing', phases: ['step'] },
  ...more,
});
const score = (name: string, unit: string, better: Metric['better'], more: Partial<Metric> = {}): Metric => ({
  ...{ name, unit, better, assume: 'exact', of: 'score' },
  ...more,
});
const fact = (name: string, unit: string, better: Metric['better'] = 'lower'): Metric => ({
  ...{ name, unit, better, assume: 'exact', of: 'fact' },
});

/**
 * Fine-tuning: training steps (forward, backward, AdamW) of a model, or of adapters beside it, with the state on the backend's
 * device from step to step.
 *
 * A repetition is a whole `step`, and where time is taken the same work up to the loss (`forward`) and up to the gradients
 * (`backward`), as graphs of their own over the same state: what the optimiser or backward takes is the difference of two
 * runs of one repetition. Where memory is watched there is the step alone. Quality and the curve of losses are those of
 * `steps` steps from the model's own weights over batches that depend on nothing but the suite: `target` of what was learnt,
 * `base_before` and `base_after` of what the model knew, and `forgetting`, how much less that is.
 */
export const train: Workload<TrainParams> = {
  name: 'train',
  metrics: [
    timed('step_time', 'duration', 'ms'),
    timed('samples_rate', 'rate', 'samples/s'),
    timed('tokens_rate', 'rate', 'tokens/s', { per: 'tokens' }),
    timed('forward', 'duration', 'ms', { phases: ['forward'] }),
    timed('backward', 'duration', 'ms', { phases: ['backward'], minus: ['forward'] }),
    timed('optimiser', 'duration', 'ms', { minus: ['backward'] }),
    {
      ...{ name: 'gflops', unit: 'GFLOP/s', better: 'higher', assume: 'nothing' },
      of: 'flops',
      phases: ['step'],
    },
    score('loss', 'nats', 'lower', { seeded: true }),
    score('target', 'share', 'higher', { seeded: true }),
    score('base_before', 'share', 'higher'),
    score('base_after', 'share', 'higher'),
    // A difference of shares: how it differs between arms is no count of right answers.
    score('forgetting', 'share', 'lower', { assume: 'nothing' }),
    fact('trainable', 'count'),
    fact('trainable_share', 'share'),
    fact('adapter_bytes', 'B'),
    fact('predicted_peak', 'B'),
    fact('predicted_weights', 'B'),
    fact('predicted_frozen', 'B'),
    fact('predicted_optimiser', 'B'),
    fact('predicted_gradients', 'B'),
    fact('predicted_activations', 'B'),
    fact('predicted_transient', 'B'),
    fact('predicted_arena', 'B'),
  ],

  // Every worker loads the config and with it this file; what trains is loaded where something does.
  derive: async (given) => (await import('./train-setup.ts')).setUp(given),
  open: async (job) => (await import('./train-run.ts')).openTraining(job),
};
