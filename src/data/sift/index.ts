import { SIFT_LENGTH } from '../../core/features.ts';
import { describe } from './descriptor.ts';
import { type Extremum, extremaOf } from './extrema.ts';
import { orientationsOf } from './orientation.ts';
import { type Octave, type Plane, scaleSpace } from './scale-space.ts';

/*
 * Scale-invariant features: Lowe, "Distinctive image features from scale-invariant keypoints" (2004), with OpenCV's
 * parameters, so that what was trained on its descriptors fits. No package on npm has them: OpenCV's WebAssembly builds
 * leave SIFT out.
 */

/** A keypoint in pixels of the image: its centre, the diameter of what it stands on, its direction, and its strength. */
export interface Keypoint {
  readonly x: number;
  readonly y: number;
  readonly size: number;
  /** Degrees with the clock, as rows count downwards. */
  readonly angle: number;
  readonly contrast: number;
  /** [128], of length about 1. */
  readonly descriptor: Float32Array;
}

interface Candidate {
  readonly octave: number;
  readonly extremum: Extremum;
  readonly angle: number;
}

/** The keypoints of highest contrast, strongest first; at most `most`. */
export function sift(image: Plane, most: number): Keypoint[] {
  const octaves = scaleSpace(image);
  const candidates = distinct(octaves.flatMap((octave, o) => candidatesOf(octave, o)));
  return candidates.slice(0, most).map((candidate) => keypointOf(octaves[candidate.octave]!, candidate));
}

function candidatesOf(octave: Octave, o: number): Candidate[] {
  return extremaOf(octave).flatMap((extremum) =>
    orientationsOf(octave.blurred[extremum.scale]!, extremum).map((angle) => ({
      ...{ octave: o, extremum, angle },
    })),
  );
}

/** Strongest first; neighbours that were refined to the same peak are one. The order depends on nothing but the image. */
function distinct(candidates: readonly Candidate[]): Candidate[] {
  const key = ({ octave, extremum: e, angle }: Candidate) => [octave, e.scale, e.row, e.column, angle].join();
  const unique = [...new Map(candidates.map((c) => [key(c), c])).values()];
  return unique.sort(
    (a, b) =>
      b.extremum.contrast - a.extremum.contrast ||
      a.octave - b.octave ||
      a.extremum.y - b.extremum.y ||
      a.extremum.x - b.extremum.x ||
      a.angle - b.angle,
  );
}

function keypointOf(octave: Octave, { octave: o, extremum, angle }: Candidate): Keypoint {
  const { x, y, sigma, scale, contrast } = extremum;
  const descriptor = new Float32Array(SIFT_LENGTH);
  describe(octave.blurred[scale]!, { x, y, sigma, angle }, descriptor);
  // The first octave lies in the doubled image.
  const pixel = 2 ** (o - 1);
  return {
    ...{ x: x * pixel, y: y * pixel, size: 2 * sigma * pixel },
    ...{ angle: (360 - angle) % 360, contrast, descriptor },
  };
}
