/**
 * Runs ONNX's official backend node tests on a backend of the config. Usage:
 *   node --import tsx scripts/onnx-node-tests.ts FOLDER [--backend NAME] [--op NAME] [--test NAME] [--config FILE] [--json]
 * FOLDER is onnx/backend/test/data/node of a checkout of onnx that has it (up to version 1.22). Floats may differ by
 * 1e-7 + 1e-3 · |expected|, as in ONNX's own runner; whole numbers must be equal. A test also fails where our shape inference
 * contradicts it. Prints passed, failed and unsupported per operator, and why; exits with 1 when a test failed.
 */
import { parseArgs } from 'node:util';
import { findConfig } from '../src/config.ts';
import { reasonOf, VersusError } from '../src/core/errors.ts';
import {
  inferenceProblem,
  judge,
  nodeTestNames,
  readNodeTest,
  type Verdict,
} from '../test/fuzz/node-tests.ts';
import { BackendProcess } from '../test/fuzz/pool.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backend: { type: 'string', default: 'reference' },
    op: { type: 'string' },
    test: { type: 'string' },
    config: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

async function verdictOf(folder: string, name: string, backend: BackendProcess): Promise<Verdict | null> {
  let test: ReturnType<typeof readNodeTest>;
  try {
    test = readNodeTest(folder, name);
  } catch (error) {
    if (!(error instanceof VersusError)) throw error;
    return values.op ? null : { name, op: '(not read)', verdict: 'unsupported', reason: reasonOf(error) };
  }
  if (values.op && test.op !== values.op) return null;
  const typing = inferenceProblem(test);
  if (typing !== null) return { name, op: test.op, verdict: 'failed', reason: typing };
  return judge(test, await backend.run(test));
}

function table(verdicts: readonly Verdict[]): string {
  const counts = new Map<string, Record<Verdict['verdict'], number>>();
  for (const { op, verdict } of verdicts) {
    const row = counts.get(op) ?? { passed: 0, failed: 0, unsupported: 0 };
    row[verdict]++;
    counts.set(op, row);
  }
  const rows = [...counts].sort(([a], [b]) => a.localeCompare(b));
  const width = Math.max(8, ...rows.map(([op]) => op.length));
  const line = (name: string, ...cells: (string | number)[]) =>
    name.padEnd(width) + cells.map((cell) => String(cell).padStart(13)).join('');
  return [
    line('operator', 'passed', 'failed', 'unsupported'),
    ...rows.map(([op, row]) => line(op, row.passed, row.failed, row.unsupported)),
  ].join('\n');
}

function reasons(verdicts: readonly Verdict[], verdict: Verdict['verdict']): string {
  const found = verdicts.filter((v) => v.verdict === verdict);
  return found.map((v) => `  ${v.name}: ${v.reason}`).join('\n');
}

async function main(): Promise<number> {
  const [folder] = positionals;
  if (!folder) throw new VersusError('usage', 'name the folder of the node tests');
  const backend = new BackendProcess(findConfig(process.cwd(), values.config), values.backend);
  const verdicts: Verdict[] = [];
  try {
    for (const name of nodeTestNames(folder)) {
      if (values.test && name !== values.test) continue;
      const verdict = await verdictOf(folder, name, backend);
      if (verdict) verdicts.push(verdict);
    }
  } finally {
    await backend.close();
  }
  const count = (verdict: Verdict['verdict']) => verdicts.filter((v) => v.verdict === verdict).length;
  const summary = { passed: count('passed'), failed: count('failed'), unsupported: count('unsupported') };
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ backend: values.backend, ...summary, verdicts }, null, 1)}\n`);
  } else {
    process.stdout.write(
      `${table(verdicts)}\n\nunsupported:\n${reasons(verdicts, 'unsupported')}\n\nfailed:\n${reasons(verdicts, 'failed')}\n\n` +
        `${values.backend}: ${summary.passed} passed, ${summary.failed} failed, ${summary.unsupported} unsupported\n`,
    );
  }
  return summary.failed > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof VersusError)) throw error;
  process.stderr.write(`${error.describe()}\n`);
  process.exitCode = 2;
}
