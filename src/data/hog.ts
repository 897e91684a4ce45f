import type { HogFeatures } from '../core/features.ts';
import type { Pixels } from './resample.ts';

/*
 * Histograms of oriented gradients: Dalal and Triggs, "Histograms of oriented gradients for human detection" (2005), with
 * the parameters of OpenCV's HOGDescriptor (modules/objdetect/src/hog.cpp): square-root gamma, the channel of the largest
 * gradient, votes shared linearly between orientations and cells and weighted by a Gaussian over the block, L2 norm, clipped
 * at 0.2 and normalised again. No package on npm computes them well: OpenCV's WebAssembly builds leave `compute` out.
 */

/** √value of every byte: gamma correction. */
const GAMMA = Float64Array.from({ length: 256 }, (_, v) => Math.sqrt(v));
const CLIP = 0.2;

/** Per pixel: the two orientation bins that it votes for, and how strongly for each. */
interface Votes {
  readonly bins: Uint8Array;
  readonly weights: Float64Array;
}

/**
 * The features of an image of exactly the size that they are made for.
 * @returns float32 [featureShape]
 */
export function hog(image: Pixels, features: HogFeatures): Float32Array {
  const { cell, bins } = features;
  const [rows, columns] = [features.height / cell - 1, features.width / cell - 1];
  const votes = gradientVotes(image, bins);
  const shares = sharesOf(cell);
  const length = 4 * bins;
  const out = new Float32Array(rows * columns * length);
  const histogram = new Float64Array(length);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) {
      histogram.fill(0);
      collect(votes, histogram, shares, { top: row * cell, left: column * cell, width: image.width, bins });
      normalise(histogram);
      out.set(histogram, (column * rows + row) * length);
    }
  }
  return out;
}

function gradientVotes({ data, width, height }: Pixels, bins: number): Votes {
  const votes = { bins: new Uint8Array(2 * width * height), weights: new Float64Array(2 * width * height) };
  // Borders are mirrored without repeating them, so that gradients across them vanish.
  const inside = (i: number, edge: number) => (i < 0 ? 1 : i >= edge ? edge - 2 : i);
  for (let y = 0; y < height; y++) {
    const [up, down] = [inside(y - 1, height) * width, inside(y + 1, height) * width];
    for (let x = 0; x < width; x++) {
      const [left, right] = [inside(x - 1, width), inside(x + 1, width)];
      let [dx, dy, largest] = [0, 0, -1];
      for (let c = 0; c < 3; c++) {
        const across = GAMMA[data[(y * width + right) * 3 + c]!]! - GAMMA[data[(y * width + left) * 3 + c]!]!;
        const along = GAMMA[data[(down + x) * 3 + c]!]! - GAMMA[data[(up + x) * 3 + c]!]!;
        const square = across * across + along * along;
        if (square > largest) [dx, dy, largest] = [across, along, square];
      }
      vote(votes, y * width + x, { magnitude: Math.sqrt(largest), angle: Math.atan2(dy, dx), bins });
    }
  }
  return votes;
}

/** Bin k is centred at (k + ½) · 180° ÷ bins; what lies between two centres votes for both. */
function vote(
  votes: Votes,
  pixel: number,
  { magnitude, angle, bins }: { magnitude: number; angle: number; bins: number },
): void {
  const place = (angle * bins) / Math.PI - 0.5;
  const below = Math.floor(place);
  const share = place - below;
  votes.bins[2 * pixel] = (below + 2 * bins) % bins;
  votes.bins[2 * pixel + 1] = (below + 1 + 2 * bins) % bins;
  votes.weights[2 * pixel] = magnitude * (1 - share);
  votes.weights[2 * pixel + 1] = magnitude * share;
}

/**
 * How much a pixel of a block counts in each of its four cells, [2·cell · 2·cell · 4]: a Gaussian about the block's centre
 * (σ is half a cell, as OpenCV takes it) times the linear shares between the cells' centres.
 */
function sharesOf(cell: number): Float64Array {
  const edge = 2 * cell;
  const scale = 1 / (2 * (edge / 4) ** 2);
  const shares = new Float64Array(edge * edge * 4);
  const near = (i: number, which: number) => Math.max(0, 1 - Math.abs((i + 0.5) / cell - 0.5 - which));
  for (let y = 0; y < edge; y++) {
    for (let x = 0; x < edge; x++) {
      const weight = Math.exp(-((y - cell) ** 2 + (x - cell) ** 2) * scale);
      for (let k = 0; k < 4; k++) {
        shares[(y * edge + x) * 4 + k] = weight * near(x, k >> 1) * near(y, k & 1);
      }
    }
  }
  return shares;
}

interface Block {
  readonly top: number;
  readonly left: number;
  readonly width: number;
  readonly bins: number;
}

function collect(votes: Votes, histogram: Float64Array, shares: Float64Array, block: Block): void {
  const edge = Math.sqrt(shares.length / 4);
  for (let y = 0; y < edge; y++) {
    for (let x = 0; x < edge; x++) {
      const pixel = (block.top + y) * block.width + block.left + x;
      const [first, second] = [votes.bins[2 * pixel]!, votes.bins[2 * pixel + 1]!];
      const [a, b] = [votes.weights[2 * pixel]!, votes.weights[2 * pixel + 1]!];
      for (let k = 0; k < 4; k++) {
        const share = shares[(y * edge + x) * 4 + k]!;
        histogram[k * block.bins + first]! += share * a;
        histogram[k * block.bins + second]! += share * b;
      }
    }
  }
}

/** L2-Hys, with OpenCV's constants in place of the paper's ε. */
function normalise(histogram: Float64Array): void {
  const lengthOf = () => Math.sqrt(histogram.reduce((sum, v) => sum + v * v, 0));
  const first = lengthOf() + 0.1 * histogram.length;
  for (let i = 0; i < histogram.length; i++) histogram[i] = Math.min(histogram[i]! / first, CLIP);
  const second = lengthOf() + 1e-3;
  for (let i = 0; i < histogram.length; i++) histogram[i] = histogram[i]! / second;
}
