import { random } from '../../src/core/random.ts';

export const SHAPES = [
  'circle',
  'square',
  'triangle',
  'star',
  'pentagon',
  'hexagon',
  'cross',
  'ring',
] as const;
export type ShapeName = (typeof SHAPES)[number];

/** Red, green, blue; far enough apart to stay nameable under jitter and noise. */
export const COLOURS = {
  red: [214, 40, 40],
  orange: [247, 140, 30],
  yellow: [244, 222, 56],
  green: [48, 158, 66],
  cyan: [64, 204, 214],
  blue: [46, 84, 214],
  purple: [132, 58, 190],
  pink: [244, 130, 186],
} as const;
export type ColourName = keyof typeof COLOURS;
export const COLOUR_NAMES = Object.keys(COLOURS) as ColourName[];

export const SIZES = ['small', 'medium', 'large'] as const;
const ROWS = ['top', 'middle', 'bottom'] as const;
const COLUMNS = ['left', 'centre', 'right'] as const;
export const BACKGROUNDS = ['plain', 'gradient', 'stripes', 'checks'] as const;
export const NOISES = ['none', 'weak', 'strong'] as const;
export const SPLITS = ['train', 'val', 'test', 'heldout'] as const;
export type Split = (typeof SPLITS)[number];
type Rgb = readonly [number, number, number];

/** One image before it is drawn: everything that can be asked about it. */
export interface Scene {
  readonly index: number;
  readonly split: Split;
  readonly shape: ShapeName;
  readonly colour: ColourName;
  readonly size: (typeof SIZES)[number];
  readonly row: (typeof ROWS)[number];
  readonly column: (typeof COLUMNS)[number];
  readonly background: (typeof BACKGROUNDS)[number];
  readonly noise: (typeof NOISES)[number];
  readonly format: 'png' | 'jpeg';
  /** Of the image, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Of the shape, in pixels; the radius is of the circle around it. */
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** Radians, at most 15° either way, so that no shape turns into another. */
  readonly rotation: number;
  readonly fill: Rgb;
  readonly backdrop: readonly [Rgb, Rgb];
  readonly noiseSeed: number;
}

const COMBINATIONS = SHAPES.length * COLOUR_NAMES.length;
/** Splits of successive rounds over all combinations: 60, 20 and 20 per cent. */
const PATTERN: readonly Split[] = [
  ...(['train', 'test', 'val', 'train', 'train'] as const),
  ...(['test', 'train', 'train', 'val', 'train'] as const),
];
/** Radius as a share of the shorter edge. */
const RADII = { small: 0.14, medium: 0.21, large: 0.29 } as const;

/**
 * One colour of every shape (and so one shape of every colour) is never seen outside the split `heldout`: a model that
 * learnt shape and colour apart names them, one that learnt pairs doesn't.
 */
export function isHeldOut(shape: ShapeName, colour: ColourName): boolean {
  return COLOUR_NAMES.indexOf(colour) === (SHAPES.indexOf(shape) * 3 + 1) % COLOUR_NAMES.length;
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));
const jitter = (rgb: Rgb, by: () => number): Rgb => {
  const [r, g, b] = rgb.map((v) => Math.round(clamp(v + by(), 0, 255)));
  return [r!, g!, b!];
};

/**
 * The scene of an index: a pure function of its arguments, so that a larger set begins with the images of a smaller one.
 * Every round of 64 indices holds each shape in each colour once, in an order of its own.
 *
 * @param edge longer edge of the images in pixels
 */
export function sceneAt(index: number, seed: number, edge: number): Scene {
  const round = Math.floor(index / COMBINATIONS);
  const order = random(seed * 1_000_003 + round).shuffle(Array.from({ length: COMBINATIONS }, (_, i) => i));
  const combination = order[index % COMBINATIONS]!;
  const shape = SHAPES[Math.floor(combination / COLOUR_NAMES.length)]!;
  const colour = COLOUR_NAMES[combination % COLOUR_NAMES.length]!;
  const r = random((seed * 1_000_003 + index) ^ 0x5ca1ab1e);

  const short = Math.round(edge * 0.75);
  const [width, height] = r.pick([
    [edge, edge],
    [edge, short],
    [short, edge],
  ] as const);
  const size = r.pick(SIZES);
  const row = r.pick(ROWS);
  const column = r.pick(COLUMNS);
  const radius = RADII[size] * Math.min(width, height) * (0.92 + 0.16 * r.uniform());
  const place = (cell: number, length: number) =>
    clamp(((cell + 0.5) / 3 + (r.uniform() - 0.5) * 0.12) * length, radius + 1, length - radius - 1);
  const x = place(COLUMNS.indexOf(column), width);
  const y = place(ROWS.indexOf(row), height);
  const grey = () => 40 + r.below(160);
  const backdrop = (): Rgb => {
    const level = grey();
    return jitter([level, level, level], () => r.below(17) - 8);
  };
  return {
    index,
    split: isHeldOut(shape, colour) ? 'heldout' : PATTERN[round % PATTERN.length]!,
    ...{ shape, colour, size, row, column, width, height, x, y, radius },
    background: r.pick(BACKGROUNDS),
    noise: r.pick(NOISES),
    format: r.pick(['png', 'jpeg'] as const),
    rotation: ((r.uniform() - 0.5) * Math.PI) / 6,
    fill: jitter(COLOURS[colour], () => r.below(25) - 12),
    backdrop: [backdrop(), backdrop()],
    noiseSeed: r.below(2 ** 31),
  };
}
