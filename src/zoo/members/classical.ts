import type { HogFeatures, SiftFeatures } from '../../core/features.ts';
import type { ModelDef } from '../../core/model.ts';
import { bytesPreprocess } from '../../core/processors.ts';
import {
  type BagOfWordsConfig,
  buildBagOfWords,
  buildHogLinear,
  type HogLinearConfig,
} from '../classical.ts';

/*
 * The classical baselines. Dalal and Triggs classify windows of 128 pixels by cells of 8; bags of words see the image as
 * large as the networks do. MACs of a run are those of the graph: what the host computes is timed and not counted.
 */

function hogLinear(name: string, features: HogFeatures, classes: number): ModelDef<HogLinearConfig> {
  return {
    ...{ name, family: 'classical', task: 'classify', config: { features, classes }, build: buildHogLinear },
    ...{ features, preprocess: bytesPreprocess(features.height) },
  };
}

function bagOfWords(
  name: string,
  features: SiftFeatures,
  words: number,
  classes: number,
): ModelDef<BagOfWordsConfig> {
  return {
    ...{ name, family: 'classical', task: 'classify', build: buildBagOfWords },
    config: { features, words, smoothing: 0.2, classes },
    ...{ features, preprocess: bytesPreprocess(features.height) },
  };
}

const square = (edge: number) => ({ height: edge, width: edge });

export const CLASSICAL_MODELS: readonly ModelDef[] = [
  hogLinear('hog-linear', { kind: 'hog', ...square(128), cell: 8, bins: 9 }, 1000),
  hogLinear('hog-tiny', { kind: 'hog', ...square(64), cell: 16, bins: 9 }, 8),
  bagOfWords('sift-bow', { kind: 'sift', ...square(224), keypoints: 512 }, 256, 1000),
  bagOfWords('sift-tiny', { kind: 'sift', ...square(64), keypoints: 32 }, 16, 8),
];
