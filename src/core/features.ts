/*
 * Features that are computed of an image on the host, by rules and not by weights: what image classification was before
 * networks learnt their own. A graph classifies them. Extractors: src/data/features.ts.
 */

/**
 * Histograms of oriented gradients (Dalal and Triggs 2005) as OpenCV's HOGDescriptor computes them: square cells, blocks of
 * 2 × 2 cells that overlap by one, gradients without sign. Values lie in 0…1, block by block, down the columns first.
 */
export interface HogFeatures {
  readonly kind: 'hog';
  readonly height: number;
  readonly width: number;
  /** Edge of a cell in pixels; it divides height and width. */
  readonly cell: number;
  /** Orientations between 0 and 180 degrees. */
  readonly bins: number;
}

/**
 * Scale-invariant features (Lowe 2004) as OpenCV's SIFT computes them: the `keypoints` of highest contrast, strongest
 * first. A row holds the descriptor's 128 numbers, of length about 1, and a 1; rows without a keypoint are 0.
 */
export interface SiftFeatures {
  readonly kind: 'sift';
  readonly height: number;
  readonly width: number;
  readonly keypoints: number;
}

export type HostFeatures = HogFeatures | SiftFeatures;

/** 4 × 4 histograms of 8 orientations. */
export const SIFT_LENGTH = 128;

/** Shape of one image's features. */
export function featureShape(features: HostFeatures): readonly number[] {
  if (features.kind === 'sift') return [features.keypoints, SIFT_LENGTH + 1];
  const { height, width, cell, bins } = features;
  return [(height / cell - 1) * (width / cell - 1) * 4 * bins];
}
