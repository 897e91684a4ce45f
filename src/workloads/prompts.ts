/**
 * The seven prompts whose ensemble comes close to all eighty on ImageNet: "Prompt engineering for ImageNet", the notebook of
 * Radford et al., "Learning transferable visual models from natural language supervision" (2021).
 */
export const CLIP_TEMPLATES: readonly string[] = [
  'itap of a {}.',
  'a bad photo of the {}.',
  'a origami {}.',
  'a photo of the large {}.',
  'a {} in a video game.',
  'art of the {}.',
  'a photo of the small {}.',
];

/** Every class in every template, class by class: prompt `c · templates + t`. */
export function classPrompts(classes: readonly string[], templates: readonly string[]): string[] {
  return classes.flatMap((name) => templates.map((template) => template.replaceAll('{}', () => name)));
}
