import * as z from 'zod';
import { VersusError } from '../../core/errors.ts';
import type { Activation } from '../layers.ts';

/* The keys of a config.json as zod schemas. Unknown keys are allowed: most say how the model was trained. */

/** A width, a count of heads, a vocabulary. */
export const size = z
  .int()
  .min(1)
  .max(1 << 24);
/** A count of layers. */
export const depth = z.int().min(1).max(1024);
export const positive = z.number().positive();
/** A square's side, or height and width. */
export const sides = z
  .union([size, z.tuple([size, size])], 'expected a whole number of pixels, or [height, width]')
  .transform((s): readonly [number, number] => (typeof s === 'number' ? [s, s] : s));

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  relu: 'relu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_tanh: 'gelu_tanh',
  quick_gelu: 'quick_gelu',
  silu: 'silu',
  swish: 'silu',
};

/** An activation by the name that transformers (ACT2FN) or timm gives it. */
export const activation = z
  .enum(Object.keys(ACTIVATIONS) as [string, ...string[]])
  .transform((name) => ACTIVATIONS[name]!);

/** Labels of a classifier as PretrainedConfig counts them: id2label, else num_labels, else 2. */
export const labels = {
  id2label: z
    .record(z.string(), z.unknown())
    .refine((all) => Object.keys(all).length > 0, 'a classifier has at least one label')
    .nullish(),
  num_labels: size.optional(),
};
export function classesOf(config: {
  id2label?: Record<string, unknown> | null | undefined;
  num_labels?: number | undefined;
}): number {
  return config.id2label ? Object.keys(config.id2label).length : (config.num_labels ?? 2);
}

/**
 * A config.json read by a schema.
 * @throws VersusError `input` naming the first field that is wrong and what it must be
 */
export function readConfig<T>(schema: z.ZodType<T>, config: unknown, where: string): T {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw wrong(issue.path.join('.') || 'the file', issue.message, where);
}

/** A feature that the checkpoint uses and the zoo lacks. */
export function unsupported(field: string, value: unknown, understood: string): VersusError {
  return new VersusError('unsupported', `${field} ${JSON.stringify(value)} is not supported`, {
    where: `config.json, field ${field}`,
    next: `understood: ${understood}`,
  });
}

/** @throws VersusError `input` unless one field divides another */
export function mustDivide(
  [field, divisor]: readonly [field: string, value: number],
  [of, dividend]: readonly [field: string, value: number],
  where: string,
): void {
  if (dividend % divisor !== 0) throw wrong(field, `${divisor} must divide ${of} (${dividend})`, where);
}

/** @throws VersusError `input` unless an image is at least one patch high and wide */
export function mustHoldPatch(
  [field, image]: readonly [field: string, value: readonly [number, number]],
  [of, patch]: readonly [field: string, value: readonly [number, number]],
  where: string,
): void {
  if (image[0] < patch[0] || image[1] < patch[1]) {
    throw wrong(field, `${image.join(' × ')} is smaller than ${of} (${patch.join(' × ')})`, where);
  }
}

/** A field with an impossible value. */
export function wrong(field: string, message: string, where: string): VersusError {
  return new VersusError('input', `${field}: ${message}`, {
    where: `config.json (${where}), field ${field}`,
    next: 'compare the file with the one published beside the checkpoint',
  });
}
