import { afterAll, describe, expect, it } from 'vitest';
import { findConfig } from '../../src/config.ts';
import { KERNELS } from '../../src/graph/kernels/index.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { Comparison, chainTolerance, reference } from './compare.ts';
import { STEPS } from './generate/index.ts';
import { hunt } from './hunt.ts';
import { knownIn } from './known.ts';
import { KNOWN } from './known-bugs.ts';
import { difference } from './outcome.ts';
import { askBackends, BackendProcess } from './pool.ts';
import { show } from './show.ts';

/** The same graphs in every run; `FUZZ_SEED=7 FUZZ_GRAPHS=5000 npx vitest run test/fuzz` draws others. */
const SEED = Number(process.env.FUZZ_SEED ?? 1);
const GRAPHS = Number(process.env.FUZZ_GRAPHS ?? 120);
/** Engines that are compared with fewer of them: on a GPU every graph is compiled, and tfjs is compared in tests of its own. */
const FEWER: readonly (readonly [RegExp, number])[] = [
  [/webgpu|cuda|tensorrt|dml|coreml/, 1 / 20],
  [/^tfjs-wasm$/, 1 / 2],
  [/^tfjs-/, 1 / 10],
];
const share = (name: string): number => FEWER.find(([pattern]) => pattern.test(name))?.[1] ?? 1;

const config = findConfig(process.cwd());
const backends = (await askBackends(config)).filter((b) => b.name !== 'reference');
const processes = new Map(
  backends.filter((b) => b.reason === null).map((b) => [b.name, new BackendProcess(config, b.name)]),
);
afterAll(() => Promise.all([...processes.values()].map((p) => p.close())));

describe('random graphs give the same on the reference and on', () => {
  for (const { name, reason } of backends) {
    if (reason !== null) {
      it.skip(`${name} (${reason})`, () => {});
      continue;
    }
    it(name, async () => {
      const comparison = new Comparison(new Map([[name, processes.get(name)!]]));
      const runs = Math.ceil(GRAPHS * share(name));
      const { caught } = await hunt(comparison, { seed: SEED, runs });
      const text = caught && [
        show(caught.test),
        ...caught.findings.map((f) => `${f.backend}: ${f.what}`),
        `replay: FUZZ_SEED=${caught.seed}, path ${caught.path}`,
      ];
      expect(text?.join('\n') ?? null).toBeNull();
      expect(comparison.tallies.get(name)!.compared).toBeGreaterThan(runs / 2);
    });
  }
});

describe('a known fault is still there, or its entry goes', () => {
  for (const bug of KNOWN) {
    const backend = backends.find((b) => b.name === bug.runtime);
    const reason = backend?.reason ?? (backend ? null : 'it is not in the config');
    const fits = backend?.version === bug.version;
    const title = `${bug.runtime} ${bug.version} ${bug.op}: ${bug.about}`;
    if (reason !== null || !fits) {
      it.skip(`${title} (${reason ?? `this is version ${backend?.version}`})`, () => {});
      continue;
    }
    it(title, async () => {
      const test = bug.example();
      expect(knownIn(test, bug.runtime, [bug])).toEqual([bug]);
      const model = test.model ?? encodeOnnx(test.graph);
      const expected = reference(test.instead ? encodeOnnx(test.instead) : model, test.feeds);
      if (expected.is !== 'values') return expect.fail(`the reference: ${JSON.stringify(expected)}`);
      const outcome = await processes.get(bug.runtime)!.run({ model, feeds: test.feeds });
      const wrong =
        outcome.is === 'values'
          ? difference(outcome.tensors, expected.tensors, chainTolerance) !== null
          : outcome.is === 'death' || outcome.kind !== 'unsupported';
      expect(wrong).toBe(true);
    });
  }
});

it('draws every operator that the interpreter has', () => {
  expect(Object.keys(KERNELS).filter((op) => !STEPS[op])).toEqual([]);
});
