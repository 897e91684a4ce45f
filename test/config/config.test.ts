import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fieldName, lineOf } from '../../src/config/locate.ts';
import { findConfig, loadConfig } from '../../src/config.ts';
import { VersusError } from '../../src/core/errors.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'versus-config-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const GOOD = `
const backend = { name: 'onnxruntime-cpu', probe: async () => ({}), open: async () => ({}) };
const model = { name: 'm', family: 'f', task: 'classify', config: {}, build: () => ({}) };
const workload = { name: 'w', metrics: [], open: async () => ({}) };
const suite = {
  name: 's', question: 'Which?', headline: [],
  arms: [{ name: 'a', model }],
  uses: [{ workload, params: {}, batches: [{ size: 1 }] }],
};
`;
let serial = 0;
function write(text: string): string {
  // A new name each time: modules are imported once per path.
  const path = join(dir, `bench.config.${serial++}.mjs`);
  writeFileSync(path, text);
  return path;
}
async function failure(text: string): Promise<VersusError> {
  const error = await loadConfig(write(text)).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(VersusError);
  expect((error as VersusError).kind).toBe('usage');
  return error as VersusError;
}

describe('loadConfig', () => {
  it('fills in what a config leaves out', async () => {
    const path = write(
      `${GOOD}export default { suites: [suite], backends: [backend], gate: { alpha: 0.01 } };`,
    );
    const { config } = await loadConfig(path);
    expect(config.gate.alpha).toBe(0.01);
    expect(config.gate.minRounds).toBe(6);
    expect(Object.keys(config.profiles)).toEqual(['smoke', 'ci', 'default', 'full', 'release']);
  });

  it('says the field, the line and what was expected for a wrong type', async () => {
    const error = await failure(
      `${GOOD}export default {\n  suites: [suite],\n  backends: [backend],\n  gate: {\n    alpha: 'low',\n  },\n};`,
    );
    expect(error.message).toMatch(/^gate\.alpha: .*expected number/i);
    expect(error.where).toMatch(/:14$/);
  });

  it('names the plugin when a plugin is wrong', async () => {
    const error = await failure(
      `${GOOD}const bad = { ...suite, name: 'broken', uses: 7 };\nexport default { suites: [suite, bad], backends: [backend] };`,
    );
    expect(error.message).toMatch(/suites\[1\]\.uses \(broken\): .*expected array/i);
  });

  it('refuses unknown fields', async () => {
    const error = await failure(
      `${GOOD}export default {\n  suites: [suite],\n  backends: [backend],\n  bakends: [],\n};`,
    );
    expect(error.message).toContain('bakends');
    expect(error.where).toMatch(/:13$/);
  });

  it.each([
    [
      'two suites of one name',
      '{ suites: [suite, suite], backends: [backend] }',
      "the name 's' is given twice",
    ],
    ['two backends of one name', '{ suites: [suite], backends: [backend, backend] }', 'is given twice'],
    [
      'a use of an arm that is not there',
      "{ suites: [{ ...suite, contrasts: [['a', 'z']] }], backends: [backend] }",
      "no arm 'z'",
    ],
    [
      'a size of an arm that is not there',
      "{ suites: [{ ...suite, growth: { size: 'edge', unit: 'px', of: 'pixels', dimensions: 2, lines: [{ name: 'l', points: [{ arm: 'z', size: 1 }] }] } }], backends: [backend] }",
      "no arm 'z'",
    ],
    [
      'a size that is none',
      "{ suites: [{ ...suite, growth: { size: 'edge', unit: 'px', of: 'pixels', dimensions: 2, lines: [{ name: 'l', points: [{ arm: 'a', size: 0 }] }] } }], backends: [backend] }",
      'growth.lines[0].points[0].size',
    ],
    [
      'a parity reference that is not there',
      "{ suites: [suite], backends: [backend], parity: { reference: 'nope' } }",
      "'nope' is not among the backends",
    ],
    [
      'a profile with an unknown suite',
      "{ suites: [suite], backends: [backend], profiles: { p: { tier: 'smoke', rounds: 1, memoryRounds: 0, minTimeMs: 0, minRepetitions: 1, warmupRepetitions: 0, timeoutMs: 1, suites: ['x'] } } }",
      "names the suite 'x'",
    ],
    [
      'a time limit that no timer can hold',
      "{ suites: [suite], backends: [backend], profiles: { p: { tier: 'smoke', rounds: 1, memoryRounds: 0, minTimeMs: 0, minRepetitions: 1, warmupRepetitions: 0, timeoutMs: 1e12 } } }",
      'profiles.p.timeoutMs',
    ],
  ])('refuses %s', async (_, text, message) => {
    expect((await failure(`${GOOD}export default ${text};`)).message).toContain(message);
  });

  it('says which file and line a plugin threw at', async () => {
    writeFileSync(join(dir, 'thrower.mjs'), "export const x = 1;\nthrow new Error('plugin boom');\n");
    const error = await failure("import './thrower.mjs';\nexport default {};");
    expect(error.message).toContain('plugin boom');
    expect(error.where).toMatch(/thrower\.mjs:2/);
  });

  it('says what is missing when there is no default export', async () => {
    expect((await failure('export const a = 1;')).message).toContain('no default export');
  });

  it('says what to do when there is no config file', () => {
    expect(() => findConfig(dir)).toThrow(/no bench\.config\.ts/);
    expect(() => findConfig(dir, 'gone.ts')).toThrow(/no config file/);
  });
});

describe('lineOf', () => {
  it('follows the path through the text', () => {
    const text = "export default {\n  gate: {\n    'alpha': 1,\n  },\n  alpha: 2,\n};\n";
    expect(lineOf(text, ['gate', 'alpha'])).toBe(3);
    expect(lineOf(text, ['alpha'])).toBe(3);
    expect(lineOf(text, ['nothing'])).toBeNull();
  });

  it('writes paths as people do', () => {
    expect(fieldName(['suites', 1, 'arms', 0, 'name'])).toBe('suites[1].arms[0].name');
  });
});
