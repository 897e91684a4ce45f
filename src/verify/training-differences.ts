import { VersusError } from '../core/errors.ts';
import { type Tensors, toNumbers } from '../core/tensor.ts';
import { compareOutputs, type OutputDifference } from '../stats/parity.ts';

/** A recorded training run. */
export interface Recordings {
  readonly inputs: Tensors;
  /** Of the first step, by parameter. */
  readonly gradients: Tensors;
  /** Everything that was recorded but the inputs, by its name in the file. */
  readonly expected: Tensors;
}

/** What float32 allows, for the usual tolerance of 1e-4; another one scales them all. */
const LIMITS = { loss: 1e-5, gradient: 1e-4, weight: 5e-5, unsure: 6e-3 } as const;
const USUAL = 1e-4;
/** Where a gradient is no larger, Adam makes a step of the learning rate out of its rounding error. */
const UNSURE = 1e-5;

/**
 * Sorts what an io.safetensors holds; null where it records no training.
 * @throws VersusError `input` where it does, but no gradients: they say what trains
 */
export function recordingsIn(tensors: Tensors, where: string): Recordings | null {
  const about = Object.keys(tensors).find((name) => /^(grad|final|after_forward)\./.test(name));
  if (about === undefined) return null;
  const prefixed = (prefix: string): Tensors =>
    Object.fromEntries(
      Object.entries(tensors).flatMap(([name, t]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), t]] : [],
      ),
    );
  const gradients = prefixed('grad.');
  if (Object.keys(gradients).length === 0) {
    throw new VersusError('input', 'it records training, and no gradients that say what trains', {
      where: `${where}, tensor ${about}`,
      next: 'record the gradients of the first step as tensors grad.<parameter>',
    });
  }
  const expected = Object.entries(tensors).filter(([name]) => !name.startsWith('input.'));
  return { inputs: prefixed('input.'), gradients, expected: Object.fromEntries(expected) };
}

/**
 * Compares a training run with its recording. Losses may differ by 1e-5, gradients by 1e-4 of the largest of all, weights and
 * running statistics by 5e-5; a weight whose gradient is at most 1e-5 by 6e-3 (three steps of twice a learning rate of 1e-3).
 * @param tolerance of gradients; the others are scaled with it
 */
export function trainingDifferences(
  computed: Tensors,
  { gradients, expected }: Recordings,
  tolerance = USUAL,
): OutputDifference[] {
  const scale = tolerance / USUAL;
  const numbers = new Map(Object.entries(gradients).map(([name, t]) => [name, toNumbers(t)]));
  let largest = 0;
  for (const values of numbers.values()) for (const x of values) largest = Math.max(largest, Math.abs(x));

  const limitOf = (name: string): ((element: number) => number) => {
    const final = name.startsWith('final.') ? numbers.get(name.slice('final.'.length)) : undefined;
    if (final) return (i) => (Math.abs(final[i]!) > UNSURE ? LIMITS.weight : LIMITS.unsure);
    if (name.startsWith('grad.')) return () => LIMITS.gradient * largest;
    return () => (name.startsWith('output.') ? LIMITS.loss : LIMITS.weight);
  };
  return compareOutputs(computed, expected, Number.MAX_VALUE).map((o) => {
    if (!o.agrees) return o;
    const limit = limitOf(o.name);
    const [a, b] = [toNumbers(computed[o.name]!), toNumbers(expected[o.name]!)];
    const beyond = b.reduce((n, x, i) => n + Number(Math.abs(a[i]! - x) > scale * limit(i)), 0);
    if (beyond === 0) return o;
    return { ...o, agrees: false, problem: `${beyond} of ${b.length} elements differ by more than they may` };
  });
}
