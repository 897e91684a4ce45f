import type { Parity } from '../core/record.ts';
import type { DType, Tensor, Tensors } from '../core/tensor.ts';
import { elementCount, toNumbers } from '../core/tensor.ts';

/** How one output compares with its reference. */
export interface OutputDifference {
  readonly name: string;
  readonly dtype: DType;
  /** Of the reference. */
  readonly shape: readonly number[];
  readonly agrees: boolean;
  /** max |a − b|. */
  readonly max_abs: number;
  /** max |a − b| ÷ max(1, max |b|), b being the reference. */
  readonly max_rel: number;
  /** a·b ÷ (|a||b|); 1 where both are all zero. */
  readonly cosine: number;
  /** Share of rows (last axis) whose largest element sits at the same index; null for outputs that are no logits. */
  readonly top1: number | null;
  /** Why no figure could be computed, or why the figures do not decide; else null. */
  readonly problem: string | null;
}

/** Stands for "no number": JSON has no infinity, and a record that reads `null` here would look like agreement. */
const INCOMPARABLE = Number.MAX_VALUE;

const FLOATS: ReadonlySet<DType> = new Set(['float32', 'float16', 'bfloat16', 'float64']);
const LOGITS = /(^|[^a-z])logits/i;

/**
 * Compares every output of the reference with what was computed. Floating-point outputs agree when
 * max |a − b| ÷ max(1, max |b|) ≤ tolerance; integer and boolean outputs agree only when equal. Widths may differ
 * (float16 against float32, int32 against int64), kinds may not. A NaN or infinity on either side, a missing output or
 * another shape never agrees. Outputs that the reference lacks are ignored.
 */
export function compareOutputs(actual: Tensors, expected: Tensors, tolerance: number): OutputDifference[] {
  return Object.entries(expected).map(([name, reference]) => {
    const computed = Object.hasOwn(actual, name) ? actual[name] : undefined;
    const problem = incomparable(computed, reference);
    if (problem !== null || computed === undefined) return failed(name, reference, problem ?? 'missing');
    return FLOATS.has(reference.dtype)
      ? compareFloats(name, computed, reference, tolerance)
      : compareIntegers(name, computed, reference);
  });
}

/**
 * The verdict over all outputs, as it goes into the record. `worst` names the output that differs most, with the reason
 * where it is not a matter of magnitude. `max_rel` and `max_abs` are Number.MAX_VALUE where nothing could be compared.
 */
export function compareTensors(
  actual: Tensors,
  expected: Tensors,
  tolerance: number,
  referenceName: string,
): Parity {
  const outputs = compareOutputs(actual, expected, tolerance);
  const worst = outputs.reduce<OutputDifference | null>(worse, null);
  const top1 = outputs.map((o) => o.top1).filter((v) => v !== null);
  if (worst === null) {
    return {
      agrees: false,
      tolerance,
      max_rel: INCOMPARABLE,
      max_abs: INCOMPARABLE,
      cosine: 0,
      worst: 'no outputs to compare',
      top1: null,
      reference: referenceName,
    };
  }
  return {
    agrees: outputs.every((o) => o.agrees),
    tolerance,
    max_rel: Math.max(...outputs.map((o) => o.max_rel)),
    max_abs: Math.max(...outputs.map((o) => o.max_abs)),
    cosine: Math.min(...outputs.map((o) => o.cosine)),
    worst: worst.problem === null ? worst.name : `${worst.name}: ${worst.problem}`,
    top1: top1.length === 0 ? null : Math.min(...top1),
    reference: referenceName,
  };
}

/** A disagreement outranks any magnitude: an integer that is off by one may be a small relative error. */
function worse(a: OutputDifference | null, b: OutputDifference): OutputDifference {
  if (a === null) return b;
  if (a.agrees !== b.agrees) return a.agrees ? b : a;
  return b.max_rel > a.max_rel ? b : a;
}

function incomparable(computed: Tensor | undefined, reference: Tensor): string | null {
  if (computed === undefined) return 'missing';
  const same =
    computed.shape.length === reference.shape.length &&
    computed.shape.every((d, i) => d === reference.shape[i]);
  if (!same) return `shape [${computed.shape.join(', ')}] instead of [${reference.shape.join(', ')}]`;
  if (FLOATS.has(computed.dtype) !== FLOATS.has(reference.dtype)) {
    return `${computed.dtype} instead of ${reference.dtype}`;
  }
  for (const t of [computed, reference]) {
    if (t.data.length !== elementCount(t.shape)) {
      return `${t.data.length} elements for shape [${t.shape.join(', ')}]`;
    }
  }
  return null;
}

function failed(name: string, reference: Tensor, problem: string): OutputDifference {
  return {
    name,
    dtype: reference.dtype,
    shape: reference.shape,
    agrees: false,
    max_abs: INCOMPARABLE,
    max_rel: INCOMPARABLE,
    cosine: 0,
    top1: LOGITS.test(name) ? 0 : null,
    problem,
  };
}

function numbersOf(t: Tensor): ArrayLike<number> {
  return t.dtype === 'float32' || t.dtype === 'float64' ? (t.data as Float32Array) : toNumbers(t);
}

function compareFloats(
  name: string,
  computed: Tensor,
  reference: Tensor,
  tolerance: number,
): OutputDifference {
  const a = numbersOf(computed);
  const b = numbersOf(reference);
  let maxAbs = 0;
  let scale = 0;
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < b.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    if (!Number.isFinite(x)) return failed(name, reference, `${x} at element ${i}`);
    if (!Number.isFinite(y)) return failed(name, reference, `reference is ${y} at element ${i}`);
    maxAbs = Math.max(maxAbs, Math.abs(x - y));
    scale = Math.max(scale, Math.abs(y));
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  const maxRel = maxAbs / Math.max(1, scale);
  return {
    name,
    dtype: reference.dtype,
    shape: reference.shape,
    agrees: maxRel <= tolerance,
    max_abs: maxAbs,
    max_rel: maxRel,
    cosine: cosine(ab, aa, bb),
    top1: LOGITS.test(name) ? top1Agreement(a, b, reference.shape) : null,
    problem: null,
  };
}

/** Rounding may carry a·b ÷ (|a||b|) past 1 by an ulp or two; the root of each square keeps huge norms from overflowing. */
function cosine(ab: number, aa: number, bb: number): number {
  if (aa === 0 && bb === 0) return 1;
  if (aa === 0 || bb === 0) return 0;
  return Math.max(-1, Math.min(1, ab / (Math.sqrt(aa) * Math.sqrt(bb))));
}

/** Integers are compared exactly, int64 without a detour over float64. */
function compareIntegers(name: string, computed: Tensor, reference: Tensor): OutputDifference {
  const a = computed.data as ArrayLike<number | bigint>;
  const b = reference.data as ArrayLike<number | bigint>;
  let different = 0;
  let maxAbs = 0;
  let scale = 0;
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < b.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    const [nx, ny] = [Number(x), Number(y)];
    // biome-ignore lint/suspicious/noDoubleEquals: 1n == 1 is what is meant where the widths differ
    if (x != y) {
      different++;
      maxAbs = Math.max(maxAbs, Math.abs(Number(BigInt(x) - BigInt(y))));
    }
    scale = Math.max(scale, Math.abs(ny));
    ab += nx * ny;
    aa += nx * nx;
    bb += ny * ny;
  }
  return {
    name,
    dtype: reference.dtype,
    shape: reference.shape,
    agrees: different === 0,
    max_abs: maxAbs,
    max_rel: maxAbs / Math.max(1, scale),
    cosine: different === 0 ? 1 : cosine(ab, aa, bb),
    top1: null,
    problem: different === 0 ? null : `${different} of ${b.length} integers differ`,
  };
}

function top1Agreement(a: ArrayLike<number>, b: ArrayLike<number>, shape: readonly number[]): number | null {
  const width = shape.at(-1) ?? 1;
  const rows = width === 0 ? 0 : b.length / width;
  if (rows === 0) return null;
  let equal = 0;
  for (let r = 0; r < rows; r++) {
    if (argmax(a, r * width, width) === argmax(b, r * width, width)) equal++;
  }
  return equal / rows;
}

function argmax(values: ArrayLike<number>, from: number, length: number): number {
  let best = 0;
  for (let i = 1; i < length; i++) if (values[from + i]! > values[from + best]!) best = i;
  return best;
}
