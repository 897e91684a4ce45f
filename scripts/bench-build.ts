/**
 * How long each model of the zoo takes to build its graphs, without weights, and how much memory: every model in a process of
 * its own. The bars are 1 s and 300 MB (peak resident set, Node and the zoo's own modules included). Exits 1 above either.
 *
 *   node --import tsx scripts/bench-build.ts [name…]
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { findModel, models } from '../src/zoo/index.ts';

const [MOST_MS, MOST_MB] = [1000, 300];

if (process.argv[2] === '--one') {
  const model = findModel(process.argv[3]!)!;
  const start = performance.now();
  const graphs = await model.build(model.config);
  const ms = performance.now() - start;
  const nodes = Object.values(graphs).reduce((sum, graph) => sum + graph.nodes.length, 0);
  process.stdout.write(JSON.stringify({ ms, nodes, mb: process.resourceUsage().maxRSS / 1024 }));
} else {
  const asked = process.argv.slice(2);
  let worst = 0;
  for (const { name } of asked.length > 0 ? models().filter((m) => asked.includes(m.name)) : models()) {
    const args = ['--import', 'tsx', fileURLToPath(import.meta.url), '--one', name];
    const { ms, nodes, mb } = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as {
      ms: number;
      nodes: number;
      mb: number;
    };
    worst = Math.max(worst, ms / MOST_MS, mb / MOST_MB);
    process.stdout.write(
      `${name.padEnd(24)} ${String(nodes).padStart(6)} nodes  ${ms.toFixed(0).padStart(5)} ms  ${mb.toFixed(0).padStart(4)} MB\n`,
    );
  }
  process.stdout.write(worst <= 1 ? 'all within 1 s and 300 MB\n' : 'above the bar\n');
  process.exitCode = worst <= 1 ? 0 : 1;
}
