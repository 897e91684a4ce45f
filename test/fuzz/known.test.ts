import { afterAll, describe, expect, it } from 'vitest';
import { findConfig } from '../../src/config.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { probedBackends } from './backends.ts';
import { chainTolerance, reference } from './compare.ts';
import { knownIn } from './known.ts';
import { KNOWN } from './known-onnxruntime.ts';
import { difference } from './outcome.ts';
import { BackendProcess } from './pool.ts';

const config = findConfig(process.cwd());
const here = new Map((await probedBackends(config)).map((b) => [b.name, b]));
const processes = new Map<string, BackendProcess>();
afterAll(() => Promise.all([...processes.values()].map((p) => p.close())));

function processOf(name: string): BackendProcess {
  const running = processes.get(name) ?? new BackendProcess(config, name, { timeoutMs: 30_000 });
  processes.set(name, running);
  return running;
}

describe('a known fault is still there, or its entry goes', () => {
  for (const bug of KNOWN) {
    const backend = here.get(bug.runtime);
    const reason = backend?.reason ?? (backend ? null : 'it is not in the config');
    const fits = backend?.version === bug.version;
    const title = `${bug.runtime} ${bug.version} ${bug.op}: ${bug.about}`;
    if (reason !== null || !fits) {
      it.skip(`${title} (${reason ?? `this is version ${backend?.version}`})`, () => {});
      continue;
    }
    it(title, async () => {
      const { model: bytes, ...test } = bug.example();
      expect(knownIn(test, bug.runtime, [bug])).toEqual([bug]);
      const model = bytes ?? encodeOnnx(test.graph);
      const expected = reference(model, test.feeds);
      if (expected.is !== 'values') return expect.fail(`the reference: ${JSON.stringify(expected)}`);
      const outcome = await processOf(bug.runtime).run({ model, feeds: test.feeds });
      const wrong =
        outcome.is === 'values'
          ? difference(outcome.tensors, expected.tensors, chainTolerance) !== null
          : outcome.is === 'death' || outcome.kind !== 'unsupported';
      expect(wrong).toBe(true);
    });
  }
});
