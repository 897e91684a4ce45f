import { random } from '../../src/core/random.ts';
import type { Scene, ShapeName } from './scene.ts';

export interface Drawing {
  /** 8-bit RGB, interleaved. */
  readonly pixels: Uint8Array;
  /** x, y, width, height of the pixels that the shape covers by half or more. */
  readonly box: readonly [number, number, number, number];
}

type Inside = (x: number, y: number) => boolean;

/** Corners on circles of the given radii in turn, the first at the top. */
function polygon(corners: number, radii: readonly number[] = [1]): Inside {
  const points = Array.from({ length: corners }, (_, i) => {
    const angle = (2 * Math.PI * i) / corners - Math.PI / 2;
    const radius = radii[i % radii.length]!;
    return [radius * Math.cos(angle), radius * Math.sin(angle)] as const;
  });
  // Even–odd rule: how many edges a ray to the right crosses.
  return (x, y) => {
    let odd = false;
    for (let i = 0, j = corners - 1; i < corners; j = i++) {
      const [ax, ay] = points[i]!;
      const [bx, by] = points[j]!;
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
    }
    return odd;
  };
}

/** Whether a point is in the shape, in units of its radius. */
const INSIDE: Readonly<Record<ShapeName, Inside>> = {
  circle: (x, y) => x * x + y * y <= 1,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= Math.SQRT1_2,
  triangle: polygon(3),
  star: polygon(10, [1, 0.4]),
  pentagon: polygon(5),
  hexagon: polygon(6),
  cross: (x, y) => {
    const [near, far] = [Math.min(Math.abs(x), Math.abs(y)), Math.max(Math.abs(x), Math.abs(y))];
    return near <= 0.28 && far <= 0.95;
  },
  ring: (x, y) => {
    const d = x * x + y * y;
    return d <= 1 && d >= 0.36;
  },
};

/** Samples per pixel and axis: edges get nine grey levels between shape and background. */
const SAMPLES = 3;
const NOISE = { none: 0, weak: 12, strong: 36 } as const;
const PERIOD = 8;

/** How far a pixel's background is from the first towards the second colour, 0…1. */
function mix({ background, width, height }: Scene, x: number, y: number): number {
  if (background === 'gradient') return (x / width + y / height) / 2;
  if (background === 'stripes') return Math.floor((x + y) / PERIOD) % 2;
  if (background === 'checks') return (Math.floor(x / PERIOD) + Math.floor(y / PERIOD)) % 2;
  return 0;
}

/** Share of a pixel that the shape covers. */
function coverage(scene: Scene, inside: Inside, px: number, py: number): number {
  const [cos, sin] = [Math.cos(scene.rotation), Math.sin(scene.rotation)];
  let hits = 0;
  for (let i = 0; i < SAMPLES * SAMPLES; i++) {
    const dx = (px + ((i % SAMPLES) + 0.5) / SAMPLES - scene.x) / scene.radius;
    const dy = (py + (Math.floor(i / SAMPLES) + 0.5) / SAMPLES - scene.y) / scene.radius;
    if (inside(dx * cos + dy * sin, dy * cos - dx * sin)) hits++;
  }
  return hits / (SAMPLES * SAMPLES);
}

/** Draws a scene: background, shape, then noise over both (uniform, the same in all channels). */
export function draw(scene: Scene): Drawing {
  const { width, height, fill, backdrop, radius } = scene;
  const inside = INSIDE[scene.shape];
  const noise = random(scene.noiseSeed);
  const amplitude = NOISE[scene.noise];
  const pixels = new Uint8Array(width * height * 3);
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    const near = Math.abs(y + 0.5 - scene.y) <= radius + 1;
    for (let x = 0; x < width; x++) {
      const share = near && Math.abs(x + 0.5 - scene.x) <= radius + 1 ? coverage(scene, inside, x, y) : 0;
      if (share >= 0.5) {
        left = Math.min(left, x);
        right = Math.max(right, x);
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
      }
      const blend = mix(scene, x, y);
      const grain = amplitude === 0 ? 0 : (noise.uniform() - 0.5) * amplitude;
      for (let c = 0; c < 3; c++) {
        const ground = backdrop[0][c]! + (backdrop[1][c]! - backdrop[0][c]!) * blend;
        const value = ground + (fill[c]! - ground) * share + grain;
        pixels[(y * width + x) * 3 + c] = Math.min(255, Math.max(0, Math.round(value)));
      }
    }
  }
  return { pixels, box: [left, top, right - left + 1, bottom - top + 1] };
}
