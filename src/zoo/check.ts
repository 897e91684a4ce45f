import { VersusError } from '../core/errors.ts';

/** No architecture of the zoo comes near these; they bound the work that a configuration can ask for. */
const LARGEST = 1 << 24;
const DEEPEST = 1024;

/** @throws VersusError `usage` naming the field */
export function refuse(model: string, field: string, message: string): never {
  throw new VersusError('usage', `${field} ${message}`, {
    where: `${model}, field ${field}`,
    next: `correct ${field} in the model's configuration`,
  });
}

type Numbers = Readonly<Record<string, number>>;

/** @throws VersusError `usage` naming the field, unless every size is a whole number from 1 to 2^24. */
export function checkSizes(model: string, sizes: Numbers, largest = LARGEST): void {
  for (const [field, size] of Object.entries(sizes)) {
    if (!Number.isInteger(size) || size < 1 || size > largest) {
      refuse(model, field, `must be a whole number from 1 to ${largest}, it is ${size}`);
    }
  }
}

/** @throws VersusError `usage` naming the field, unless every amount is a whole number from 0 to 2^24. */
export function checkWhole(model: string, amounts: Numbers): void {
  for (const [field, amount] of Object.entries(amounts)) {
    if (!Number.isInteger(amount) || amount < 0 || amount > LARGEST) {
      refuse(model, field, `must be a whole number from 0 to ${LARGEST}, it is ${amount}`);
    }
  }
}

/** @throws VersusError `usage` naming the field, unless every count of layers is a whole number from 1 to 1024. */
export function checkDepths(model: string, depths: Numbers): void {
  checkSizes(model, depths, DEEPEST);
}

/** @throws VersusError `usage` naming the divisor's field, unless it divides the other. */
export function checkDivides(
  model: string,
  divisor: readonly [field: string, value: number],
  dividend: readonly [field: string, value: number],
): void {
  if (dividend[1] % divisor[1] !== 0) {
    refuse(model, divisor[0], `(${divisor[1]}) must divide ${dividend[0]} (${dividend[1]})`);
  }
}

/** @throws VersusError `usage` naming the field, unless the number is finite and greater than zero. */
export function checkPositive(model: string, numbers: Numbers): void {
  for (const [field, value] of Object.entries(numbers)) {
    if (!Number.isFinite(value) || value <= 0) refuse(model, field, `must be greater than 0, it is ${value}`);
  }
}

/** @throws VersusError `usage` naming the field, unless strides and pooling leave at least one pixel of the side. */
export function checkRemains(model: string, field: string, side: number, left: number): void {
  if (left < 1)
    refuse(model, field, `(${side} pixels) is too small: strides and pooling leave nothing of it`);
}

/** @throws VersusError `usage` naming the field, unless there are `count` factors, all finite and greater than zero. */
export function checkFactors(model: string, field: string, factors: readonly number[], count: number): void {
  if (factors.length !== count) {
    refuse(model, field, `must have ${count} factors, one per frequency, it has ${factors.length}`);
  }
  factors.forEach((factor, i) => {
    checkPositive(model, { [`${field}[${i}]`]: factor });
  });
}

/** @throws VersusError `usage`: the first field, as it is set, wants the second to be `wanted`. */
export function checkOnly(
  model: string,
  [field, other]: readonly [field: string, other: string],
  actual: string,
  wanted: string,
): void {
  if (actual !== wanted) refuse(model, field, `exists for ${other} '${wanted}' only, not for '${actual}'`);
}

/**
 * @param axes how many there must be; any number when left out
 * @throws VersusError `usage` naming the field, unless rotary sections are whole numbers that make up all pairs of a head
 */
export function checkSections(
  model: string,
  sections: readonly number[],
  pairs: number,
  axes = sections.length,
): void {
  const field = 'rotary.sections';
  if (sections.length !== axes)
    refuse(model, field, `must be one per axis, ${axes}; it has ${sections.length}`);
  checkSizes(model, { [`${field}.length`]: sections.length }, pairs);
  checkSizes(model, Object.fromEntries(sections.map((s, i) => [`${field}[${i}]`, s])), pairs);
  const sum = sections.reduce((a, b) => a + b, 0);
  if (sum !== pairs) refuse(model, field, `must add up to headWidth / 2 (${pairs}), they add up to ${sum}`);
}
