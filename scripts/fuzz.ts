/**
 * Runs random small graphs on the backends of the config and on the reference interpreter, and prints where they differ, as
 * small as it can be made. Usage:
 *   node --import tsx scripts/fuzz.ts [--graphs 10000] [--seed 1] [--backend NAME]… [--op NAME] [--out DIR] [--config FILE]
 *   node --import tsx scripts/fuzz.ts --replay FILE [--backend NAME]…
 * Without --backend all that are available take part; those on WebGPU, where every graph is compiled, see every 20th batch.
 * Every kind of disagreement is written to DIR, for --replay. Exits with 1 when there was one.
 */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findConfig } from '../src/config.ts';
import { VersusError } from '../src/core/errors.ts';
import { probedBackends } from '../test/fuzz/backends.ts';
import { loadCase, saveCase } from '../test/fuzz/case-file.ts';
import { Comparison } from '../test/fuzz/compare.ts';
import { STEPS } from '../test/fuzz/generate/index.ts';
import { type Catch, hunt } from '../test/fuzz/hunt.ts';
import { BackendProcess } from '../test/fuzz/pool.ts';
import { show } from '../test/fuzz/show.ts';

const BATCH = 50;
const SLOW_EVERY = 20;

const { values } = parseArgs({
  options: {
    graphs: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    backend: { type: 'string', multiple: true },
    op: { type: 'string' },
    out: { type: 'string' },
    replay: { type: 'string' },
    config: { type: 'string' },
  },
});

const print = (text: string): void => void process.stdout.write(`${text}\n`);

function whole(name: 'graphs' | 'seed'): number {
  const n = Number(values[name]);
  if (Number.isSafeInteger(n) && n >= 0) return n;
  throw new VersusError('usage', `--${name} wants a whole number, got ${values[name]}`);
}

/** Processes of the backends that take part, and why others don't. */
async function open(config: string): Promise<Map<string, BackendProcess>> {
  const known = await probedBackends(config);
  const missing = values.backend?.find((name) => !known.some((k) => k.name === name));
  if (missing) {
    throw new VersusError('usage', `the config has no backend '${missing}'`, {
      next: `name one of ${known.map((k) => k.name).join(', ')}`,
    });
  }
  const wanted = known.filter((k) => values.backend?.includes(k.name) ?? k.name !== 'reference');
  for (const k of wanted) print(`${k.name} ${k.version ?? ''}${k.reason ? `: not here, ${k.reason}` : ''}`);
  return new Map(
    wanted.filter((k) => k.reason === null).map((k) => [k.name, new BackendProcess(config, k.name)]),
  );
}

/** What a disagreement is about, so that the same one is told once. */
const kindOf = ({ test, findings }: Catch): string =>
  `${findings[0]!.backend}: ${test.graph.nodes.map((n) => n.op).join(' → ')}`;

async function fuzz(comparison: Comparison, names: readonly string[]): Promise<number> {
  const [total, seed] = [whole('graphs'), whole('seed')];
  if (values.op && !STEPS[values.op])
    throw new VersusError('usage', `no graphs are drawn for '${values.op}'`, {
      next: `name one of ${Object.keys(STEPS).join(', ')}`,
    });
  const out = values.out ?? mkdtempSync(join(tmpdir(), 'versus-fuzz-'));
  mkdirSync(out, { recursive: true });
  const quick = names.filter((name) => values.backend || !name.includes('webgpu'));
  const kinds = new Map<string, number>();
  let drawn = 0;
  for (let batch = 0; drawn < total; batch++) {
    const among = batch % SLOW_EVERY === 0 ? names : quick;
    const runs = Math.min(BATCH, total - drawn);
    const { runs: done, caught } = await hunt(comparison, {
      ...{ seed: seed * 1_000_003 + batch, runs, among },
      ...(values.op && { op: values.op }),
    });
    drawn += caught ? done : runs;
    if (batch % 20 === 19)
      process.stderr.write(`${drawn} of ${total} graphs, ${kinds.size} kinds of disagreement\n`);
    if (!caught) continue;
    const kind = kindOf(caught);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (kinds.get(kind)! > 1) continue;
    const file = join(out, `${kinds.size}.json`);
    const found = caught.findings.map((f) => `${f.backend}: ${f.what}`).join('\n');
    saveCase(file, caught.test, found);
    print(
      `\n${show(caught.test)}\n${found}\nreplay: --replay ${file} (fast-check seed ${caught.seed}, path ${caught.path})`,
    );
  }
  print(`\n${drawn} graphs from seed ${seed}`);
  for (const [name, t] of comparison.tallies)
    print(
      `${name}: ${t.compared} compared (shrinking included), ${t.unsupported} unsupported, ${t.known} with a known fault, ${t.refused} refused by both`,
    );
  for (const [kind, times] of kinds) print(`${times} × ${kind}`);
  return kinds.size > 0 ? 1 : 0;
}

async function main(): Promise<number> {
  const backends = await open(findConfig(process.cwd(), values.config));
  const comparison = new Comparison(backends);
  try {
    if (values.replay === undefined) return await fuzz(comparison, [...backends.keys()]);
    const test = loadCase(values.replay);
    const findings = await comparison.findings(test);
    print(`\n${show(test)}\n${findings.map((f) => `${f.backend}: ${f.what}`).join('\n') || 'all agree'}`);
    return findings.length > 0 ? 1 : 0;
  } finally {
    await Promise.all([...backends.values()].map((b) => b.close()));
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof VersusError)) throw error;
  process.stderr.write(`${error.describe()}\n`);
  process.exitCode = 2;
}
