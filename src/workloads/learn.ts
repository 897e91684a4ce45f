import type { ModelDef } from '../core/model.ts';
import type { Metric, Workload } from '../core/workload.ts';

export interface LearnParams {
  /** A dataset with the splits `train` and `test`; labels are its classes. */
  readonly dataset: string;
  /** Numbers of training images, smallest first. */
  readonly images: readonly number[];
  /** Trainings at each of them: seed i draws initial weights, order, and which images. */
  readonly seeds: number;
  /** Steps of every training, however few its images are. */
  readonly steps: number;
  /** Highest learning rate; it falls along half a cosine, after a tenth of the steps to warm up. */
  readonly rate: number;
  /** Test images that each training is judged on; all when left out. Whole batches. */
  readonly samples?: number;
  /** Of the backend, for small models that more of them slow down; its own choice when left out. */
  readonly threads?: number;
  /** Of what it is distilled from: one of the workload's teachers. */
  readonly teacher?: string;
}

/** A model that others are distilled from, and the rate that it is trained with on the same images first. */
export interface Teacher {
  readonly model: ModelDef;
  readonly rate: number;
}

const score = (name: string, unit: string, better: Metric['better']): Metric => ({
  ...{ name, unit, better, assume: 'nothing', of: 'score', seeded: true },
});

/**
 * Learning from scratch: what a classifier makes of so many images and no more, in the same number of steps. Each number of images
 * is learnt by several seeds; a seed's fewer images are among its more. Where there is a `teacher`, it is trained on the same
 * images by the same seed first, and the student learns by hard distillation (see `training/forward/distil.ts`) from what it says
 * of each of them.
 *
 * A repetition is one training step of the model, which takes the same time however many images there are.
 *
 * @param teachers by name, for `params.teacher`: a case is told in JSON, which holds no model
 */
export const learn = (teachers: Readonly<Record<string, Teacher>> = {}): Workload<LearnParams> => ({
  name: 'learn',
  metrics: [
    {
      ...{ name: 'step_time', unit: 'ms', better: 'lower', assume: 'nothing', of: 'duration' },
      phases: ['step'],
    },
    score('accuracy', 'share', 'higher'),
    score('loss', 'nats', 'lower'),
    { name: 'trainable', unit: 'count', better: 'lower', assume: 'exact', of: 'fact' },
  ],

  // Every worker loads the config and with it this file; what trains is loaded where something does.
  derive: async (given) => (await import('./learn-setup.ts')).setUp(given, teachers),
  open: async (job) => (await import('./learn-run.ts')).openLearning(job),
});
