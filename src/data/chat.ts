/*
 * How a question about an image is put to a language model: LLaVA's first conversation template (Liu et al., "Visual
 * instruction tuning", 2023), image first. What trains a model and what measures it must say the same.
 */

/** Text ahead of the image. */
export const BEFORE_IMAGE = 'USER: ';

/** Text behind the image: the model's answer goes on from it. */
export const asked = (question: string): string => `\n${question} ASSISTANT:`;
