import { createHash } from 'node:crypto';
import { VersusError } from '../core/errors.ts';
import type { Init, Param } from '../core/graph.ts';
import type { WeightSpec } from '../core/model.ts';
import { seedOf, splitmix32 } from '../core/random.ts';
import { bytesPerElement, elementCount } from '../core/tensor.ts';
import { convert, convertible, repeated } from './convert.ts';

/** Part of the identity of seeded numbers: raise it when the generator's output changes. */
const GENERATOR = 1;
/** Elements drawn at a time: 4 MiB of float32. */
const CHUNK_ELEMENTS = 1 << 20;
/** Turns a standard deviation into the bound of the uniform distribution that has it. */
const SQRT_3 = 1.7320508075688772;

/**
 * Weights drawn from a seed: for speed and memory, which don't depend on values. Every parameter has a stream of its own,
 * seeded by (seed, its name), so its bytes depend on nothing else in the model; the arithmetic is exact (32-bit integers
 * and one correctly rounded product), so they are the same on every machine.
 * float16 and bfloat16 parameters are the rounded float32 numbers, so that precisions can be compared.
 */
export function seeded(seed = 0): WeightSpec {
  if (!Number.isSafeInteger(seed)) {
    throw new VersusError('usage', `a seed must be a whole number, not ${seed}`, { where: 'seeded(seed)' });
  }
  const label = `seeded(${seed})`;
  return {
    label,
    open: async (params) => {
      const id = identity(seed, params);
      return {
        ...{ id, content: id, label, trained: false },
        read: (param, into) => draw(param, seed, into),
        close: async () => {},
      };
    },
  };
}

/** Equal for equal numbers: what `draw` depends on, hashed. */
function identity(seed: number, params: readonly Param[]): string {
  const facts = params
    .map(({ name, dtype, shape, role, init }) => JSON.stringify([name, dtype, shape, role, init ?? null]))
    .sort();
  const hash = createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 32);
  return `seeded-${GENERATOR}-${seed}-${hash}`;
}

async function* draw(param: Param, seed: number, into?: Uint8Array): AsyncGenerator<Uint8Array, void> {
  const init = param.init ?? defaultInit(param);
  const total = elementCount(param.shape);
  const size = bytesPerElement(param.dtype);
  const room = into ? Math.floor(into.byteLength / size) : CHUNK_ELEMENTS;
  // Whole quads, so that the stream doesn't depend on where chunks end.
  const step = Math.min(CHUNK_ELEMENTS, room - (room % 4));
  if (step < 4) throw new RangeError('a buffer for weights needs room for four elements');
  if (init.kind === 'constant') {
    const chunk = repeated(param.dtype, init.value, Math.min(step, total));
    for (let done = 0; done < total; done += step) {
      const bytes = chunk.subarray(0, Math.min(step, total - done) * size);
      yield into ? bytes : bytes.slice();
    }
    return;
  }
  if (!convertible('float32', param.dtype)) {
    throw new VersusError('unsupported', `cannot draw uniform ${param.dtype} numbers`, {
      where: param.name,
      next: "give the parameter a constant init, or bring weights with weights: safetensors('path')",
    });
  }
  const fill = uniformStream(seedOf(param.name, seed), init);
  const scratch = param.dtype === 'float32' ? null : new Float32Array(Math.min(step, wholeQuads(total)));
  for (let done = 0; done < total; done += step) {
    const n = Math.min(step, total - done);
    const target = into ?? new Uint8Array(wholeQuads(n) * size);
    if (scratch) {
      fill(scratch.subarray(0, wholeQuads(n)));
      yield convert('float32', param.dtype, new Uint8Array(scratch.buffer, 0, n * 4), target);
    } else {
      fill(new Float32Array(target.buffer, target.byteOffset, wholeQuads(n)));
      yield target.subarray(0, n * size);
    }
  }
}

function wholeQuads(n: number): number {
  return Math.ceil(n / 4) * 4;
}

/**
 * Fills arrays of whole quads with the next numbers of a stream, uniform in [−std·√3, std·√3).
 * Xorshift128 (Marsaglia, "Xorshift RNGs", 2003), four words a turn; one int32 gives one number.
 */
function uniformStream(seed: number, init: Init & { kind: 'uniform' }): (out: Float32Array) => void {
  const scale = (init.std * SQRT_3) / 2147483648;
  const word = splitmix32(seed);
  let x = word() | 0;
  let y = word() | 0;
  let z = word() | 0;
  // The all-zero state is the generator's only fixed point.
  let w = word() | 1;
  return (out) => {
    let a = x;
    let b = y;
    let c = z;
    let d = w;
    for (let i = 0; i < out.length; i += 4) {
      let t = a ^ (a << 11);
      a = d ^ (d >>> 19) ^ t ^ (t >>> 8);
      t = b ^ (b << 11);
      b = a ^ (a >>> 19) ^ t ^ (t >>> 8);
      t = c ^ (c << 11);
      c = b ^ (b >>> 19) ^ t ^ (t >>> 8);
      t = d ^ (d << 11);
      d = c ^ (c >>> 19) ^ t ^ (t >>> 8);
      out[i] = a * scale;
      out[i + 1] = b * scale;
      out[i + 2] = c * scale;
      out[i + 3] = d * scale;
    }
    x = a;
    y = b;
    z = c;
    w = d;
  };
}

/**
 * What a parameter gets when its graph doesn't say: identity for normalisations, zero for biases and statistics' means,
 * and for matrices a standard deviation of 1/√fan-in, which keeps the variance of activations (LeCun, "Efficient BackProp", 1998).
 */
export function defaultInit(param: Pick<Param, 'name' | 'shape' | 'role'>): Init {
  const { name, shape, role } = param;
  if (role === 'buffer') return { kind: 'constant', value: name.endsWith('running_var') ? 1 : 0 };
  if (shape.length >= 2) {
    const fanIn = Math.max(1, elementCount(shape.slice(1)));
    return { kind: 'uniform', std: 1 / Math.sqrt(fanIn) };
  }
  return { kind: 'constant', value: /(^|[._])bias$/.test(name) ? 0 : 1 };
}
