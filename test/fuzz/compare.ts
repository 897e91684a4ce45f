import { reasonOf, VersusError } from '../../src/core/errors.ts';
import { type Tensor, toNumbers } from '../../src/core/tensor.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { decodeOnnx, encodeOnnx } from '../../src/graph/onnx/index.ts';
import { knownIn } from './known.ts';
import { KNOWN } from './known-bugs.ts';
import { inferenceProblem } from './node-tests.ts';
import { difference, type Outcome, type Tolerance } from './outcome.ts';
import type { BackendProcess } from './pool.ts';
import type { FuzzCase } from './sketch.ts';

/** Where a backend, or our own shape inference, does otherwise than the reference. */
export interface Finding {
  readonly backend: string;
  readonly what: string;
}

/** What became of all graphs so far, by backend. */
export interface Tally {
  compared: number;
  /** The backend lacks an operator, or its use. */
  unsupported: number;
  /** Passed over because of a known fault. */
  known: number;
  /** Both it and the reference refuse the graph. */
  refused: number;
}

/** Float errors grow with what a tensor holds and along a chain; halves have three digits. */
export function chainTolerance(want: Tensor): Tolerance {
  const largest = toNumbers(want).reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 1);
  return want.dtype === 'float16'
    ? { relative: 1e-2, absolute: 1e-2 * largest }
    : { relative: 2e-4, absolute: 4e-5 * largest };
}

/** What the reference interpreter makes of a model, after a trip through the codec. */
export function reference(model: Uint8Array, feeds: FuzzCase['feeds']): Outcome {
  try {
    return { is: 'values', tensors: interpret(decodeOnnx(model), {}, feeds) };
  } catch (error) {
    const kind = error instanceof VersusError ? error.kind : 'internal';
    return { is: 'error', kind, message: reasonOf(error) };
  }
}

/** Runs graphs on backends and the reference, and says where they differ. */
export class Comparison {
  readonly tallies = new Map<string, Tally>();
  readonly #backends: ReadonlyMap<string, BackendProcess>;

  constructor(backends: ReadonlyMap<string, BackendProcess>) {
    this.#backends = backends;
    for (const name of backends.keys())
      this.tallies.set(name, { compared: 0, unsupported: 0, known: 0, refused: 0 });
  }

  /** @param among only these backends */
  async findings(test: FuzzCase, among: readonly string[] = [...this.#backends.keys()]): Promise<Finding[]> {
    const model = encodeOnnx(test.graph);
    const expected = reference(model, test.feeds);
    const found: Finding[] = [];
    if (expected.is === 'values') {
      const typing = inferenceProblem({ model, feeds: test.feeds, expected: expected.tensors });
      if (typing !== null) found.push({ backend: 'operator table', what: typing });
    } else if (expected.is === 'error' && expected.kind === 'internal') {
      found.push({
        backend: 'reference',
        what: `it throws an error that it did not foresee: ${expected.message}`,
      });
    }
    const others = await Promise.all(
      among.map(async (backend) => {
        const what = await this.#one(backend, test, model, expected);
        return what === null ? [] : [{ backend, what }];
      }),
    );
    return [...found, ...others.flat()];
  }

  async #one(backend: string, test: FuzzCase, model: Uint8Array, expected: Outcome): Promise<string | null> {
    const tally = this.tallies.get(backend)!;
    if (knownIn(test, backend, KNOWN).length > 0) {
      tally.known++;
      return null;
    }
    const outcome = await this.#backends.get(backend)!.run({ model, feeds: test.feeds });
    if (outcome.is === 'death') return outcome.message;
    if (outcome.is === 'error') {
      if (outcome.kind === 'unsupported') tally.unsupported++;
      else if (expected.is === 'error') tally.refused++;
      else return `it fails (${outcome.kind}): ${outcome.message}`;
      return null;
    }
    if (expected.is !== 'values') {
      if (expected.is === 'error' && expected.kind === 'unsupported') return null;
      return `it computes what the reference refuses: ${expected.message}`;
    }
    tally.compared++;
    return difference(outcome.tensors, expected.tensors, chainTolerance);
  }
}
