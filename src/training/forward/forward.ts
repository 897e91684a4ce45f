import type { Graph, ValueInfo } from '../../core/graph.ts';
import type { Value } from '../../graph/builder.ts';

/** Labels that do not count, as everywhere since torch. */
export const IGNORED = -100;

/** A model's graphs as one, with its loss, all sizes numbers. */
export interface Forward {
  readonly graph: Graph;
  /** Output: a float32 scalar. */
  readonly loss: string;
  /** Output: what the loss judges, [rows …, classes]. */
  readonly logits: string;
  /** How many classes (or tokens of the vocabulary) a label may name; null where pairs are their own labels. */
  readonly classes: number | null;
  /** What a batch feeds; constants such as masks and positions are in the graph. */
  readonly inputs: readonly ValueInfo[];
  /** Buffers that a step changes (running statistics) by name, and the output that holds the next ones. */
  readonly buffers: ReadonlyMap<string, string>;
}

/** Sizes of a batch. Every text of it is as long as `sequence`; shorter ones are padded, with labels that are ignored. */
export interface Sizes {
  readonly batch: number;
  /** Tokens of a text: with an image those beside its own, of an encoder–decoder those of the answer. */
  readonly sequence?: number;
  /** Tokens of the text before the image; 0 when left out. */
  readonly before?: number;
  /** Tokens of an encoder–decoder's prompt. */
  readonly prompt?: number;
  /** What an image of any size is cut into, rows and columns: crops (Phi-3.5-vision), tokens (Qwen2-VL). */
  readonly grid?: readonly [rows: number, columns: number];
}

export interface ForwardOptions extends LossOptions {
  /**
   * What BatchNormalization normalises by: the batch's own statistics, which it also learns from (when left out), or the
   * running ones, which then stay as they are.
   */
  readonly statistics?: 'batch' | 'running';
}

export interface LossOptions {
  /** Share of every label that is spread evenly over all classes (Szegedy et al., 2016); 0 when left out. */
  readonly labelSmoothing?: number;
  /** Of a classifier: half of the loss is what a teacher chose (`teacher_labels` of a batch), learnt by a head of its own. */
  readonly distillation?: 'hard';
  /**
   * How a contrastive model judges its pairs: `softmax` over the batch both ways (CLIP), or every pair by itself (`sigmoid`,
   * SigLIP); by the model's family when left out.
   */
  readonly pairs?: 'softmax' | 'sigmoid';
}

/** What a task makes of a model: the values that become outputs. */
export interface Judged {
  readonly loss: Value;
  readonly logits: Value;
  /** How many classes a label may name; null where there are no labels. */
  readonly classes: number | null;
}
