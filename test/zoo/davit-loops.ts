import type { Graph } from '../../src/core/graph.ts';

/*
 * One DaViT block in plain loops over pixels, written from the paper's description: pixels are [row][column][channel].
 */
export type Image = number[][][];

export function paramsOf(graph: Graph): (name: string) => ArrayLike<number> {
  const all = new Map(graph.params.map((p) => [p.name, p.data as Float32Array]));
  return (name) => all.get(name)!;
}

type Params = ReturnType<typeof paramsOf>;
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
const map = (image: Image, to: (pixel: number[], y: number, x: number) => number[]): Image =>
  image.map((row, y) => row.map((pixel, x) => to(pixel, y, x)));

export function linear(p: Params, name: string, pixel: readonly number[]): number[] {
  const [weight, bias] = [p(`${name}.weight`), p(`${name}.bias`)];
  return Array.from({ length: bias.length }, (_, o) =>
    pixel.reduce((sum, v, i) => sum + v * weight[o * pixel.length + i]!, bias[o]!),
  );
}

export function norm(p: Params, name: string, pixel: readonly number[]): number[] {
  const mean = pixel.reduce((a, b) => a + b, 0) / pixel.length;
  const variance = pixel.reduce((a, b) => a + (b - mean) ** 2, 0) / pixel.length;
  return pixel.map(
    (v, i) => ((v - mean) / Math.sqrt(variance + 1e-5)) * p(`${name}.weight`)[i]! + p(`${name}.bias`)[i]!,
  );
}

/** x + a 3×3 convolution of each channel with zeros around the image. */
export function positions(p: Params, name: string, image: Image): Image {
  const [weight, bias] = [p(`${name}.weight`), p(`${name}.bias`)];
  return map(image, (pixel, y, x) =>
    pixel.map((v, c) => {
      let sum = bias[c]!;
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          sum += (image[y + dy]?.[x + dx]?.[c] ?? 0) * weight[c * 9 + (dy + 1) * 3 + dx + 1]!;
        }
      }
      return v + sum;
    }),
  );
}

function softmax(scores: readonly number[]): number[] {
  const top = Math.max(...scores);
  const powers = scores.map((s) => Math.exp(s - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((v) => v / total);
}

/** Parts of a pixel's query, key or value (`which` 0, 1, 2) that belong to a head. */
const partOf = (qkv: readonly number[], which: number, head: number, heads: number) => {
  const width = qkv.length / 3;
  return qkv.slice(which * width + (head * width) / heads, which * width + ((head + 1) * width) / heads);
};

/** Every pixel attends to the pixels of its window; where the window leaves the image, to pixels that are all 0. */
export function windowAttention(p: Params, name: string, image: Image, window: number, heads: number): Image {
  const channels = image[0]![0]!.length;
  const zero = new Array<number>(channels).fill(0);
  const projected = (y: number, x: number) => linear(p, `${name}.qkv`, image[y]?.[x] ?? zero);
  return map(image, (_, y, x) => {
    const [top, left] = [y - (y % window), x - (x % window)];
    const seen = Array.from({ length: window ** 2 }, (_, i) =>
      projected(top + Math.floor(i / window), left + (i % window)),
    );
    const own = projected(y, x);
    const mixed = Array.from({ length: heads }, (_, h) => {
      const query = partOf(own, 0, h, heads);
      const shares = softmax(seen.map((o) => dot(query, partOf(o, 1, h, heads)) / Math.sqrt(query.length)));
      return query.map((_, d) =>
        shares.reduce((sum, s, i) => sum + s * partOf(seen[i]!, 2, h, heads)[d]!, 0),
      );
    });
    return linear(p, `${name}.proj`, mixed.flat());
  });
}

/**
 * Every channel attends to the channels of its group over all pixels. `roles`: which of query, key and value asks, is
 * asked, and is carried.
 */
export function channelAttention(
  p: Params,
  name: string,
  image: Image,
  groups: number,
  roles: readonly [number, number, number],
  scale: (pixels: number, perGroup: number) => number,
): Image {
  const all = image.flat().map((pixel) => linear(p, `${name}.qkv`, pixel));
  const columns = image[0]!.length;
  return map(image, (pixel, y, x) => {
    const perGroup = pixel.length / groups;
    const mixed = Array.from({ length: groups }, (_, g) =>
      Array.from({ length: perGroup }, (_, channel) => {
        const scores = Array.from({ length: perGroup }, (_, other) =>
          all.reduce(
            (sum, o) =>
              sum + partOf(o, roles[0], g, groups)[channel]! * partOf(o, roles[1], g, groups)[other]!,
            0,
          ),
        ).map((s) => s * scale(all.length, perGroup));
        const shares = softmax(scores);
        return dot(shares, partOf(all[y * columns + x]!, roles[2], g, groups));
      }),
    );
    return linear(p, `${name}.proj`, mixed.flat());
  });
}

export const add = (a: Image, b: Image): Image =>
  map(a, (pixel, y, x) => pixel.map((v, c) => v + b[y]![x]![c]!));
