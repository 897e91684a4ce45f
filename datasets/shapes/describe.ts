import { random } from '../../src/core/random.ts';
import type { Scene } from './scene.ts';
import { COLOUR_NAMES } from './scene.ts';

/** `top left`, `middle right`, `centre`. */
function positionOf({ row, column }: Scene): string {
  if (row === 'middle' && column === 'centre') return 'centre';
  return column === 'centre' ? row : `${row} ${column}`;
}

const GROUND = {
  plain: 'a plain',
  gradient: 'a shaded',
  stripes: 'a striped',
  checks: 'a checked',
} as const;

export function captionOf(scene: Scene): string {
  const thing = `a ${scene.size} ${scene.colour} ${scene.shape}`;
  const place = positionOf(scene) === 'centre' ? 'in the centre' : `at the ${positionOf(scene)}`;
  return `${thing} ${place} on ${GROUND[scene.background]} background`;
}

export function attributesOf(scene: Scene): Record<string, string | number> {
  const { shape, colour, size, background, noise, width, height } = scene;
  return { shape, colour, size, position: positionOf(scene), background, noise, width, height };
}

/** Questions with one-word (or one-place) answers; the yes/no one is true for half of the images. */
export function questionsOf(scene: Scene): { question: string; answer: string }[] {
  const { shape, colour } = scene;
  const r = random(scene.noiseSeed ^ 0x0ddba11);
  const asked = r.below(2) === 0 ? colour : r.pick(COLOUR_NAMES.filter((c) => c !== colour));
  return [
    { question: 'What shape is in the image?', answer: shape },
    { question: `What colour is the ${shape}?`, answer: colour },
    { question: `Is the ${shape} small, medium or large?`, answer: scene.size },
    { question: `Where is the ${shape}?`, answer: positionOf(scene) },
    { question: `Is the ${shape} ${asked}?`, answer: asked === colour ? 'yes' : 'no' },
  ];
}
