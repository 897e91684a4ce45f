import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import pc from 'picocolors';
import type { Availability } from '../core/backend.ts';
import { readEnvironment } from '../run/environment.ts';
import { probeBackends } from '../run/probe.ts';
import { cacheStatus } from '../weights/index.ts';
import { type CommonOptions, cacheDir, lookingContextOf, print, printJson } from './context.ts';

/**
 * `versus doctor [--json]`: `{ environment, backends: [{ name, available, version, device | reason, fix }], cache, disk_free_bytes, ok }`.
 * Exit code 0 when the parity reference can run (then every suite can be measured on it), else 3.
 */
export async function doctorCommand(options: CommonOptions): Promise<number> {
  const loaded = await lookingContextOf(options);
  const environment = await readEnvironment();
  const names = loaded.config.backends.map((backend) => backend.name);
  const backends: ({ name: string } & Availability)[] = [];
  for (const [name, availability] of await probeBackends({ path: loaded.path }, names)) {
    backends.push({ name, ...availability });
  }
  const cache = await cacheStatus(cacheDir(loaded));
  const free = statfsSync(dirname(loaded.path));
  const diskFree = Number(free.bavail) * Number(free.bsize);
  const ok = backends.some((b) => b.name === loaded.config.parity.reference && b.available);
  if (options.json) {
    printJson({ environment, backends, cache, disk_free_bytes: diskFree, ok });
    return ok ? 0 : 3;
  }
  print(pc.bold('machine'));
  print(
    `  ${environment.cpu}, ${environment.cores} cores, ${gib(environment.memory_bytes)} memory, ${environment.os}, Node ${environment.node}`,
  );
  for (const gpu of environment.gpus) print(`  ${gpu}`);
  for (const warning of environment.warnings) print(`  ${pc.yellow('!')} ${warning}`);
  print(pc.bold('backends'));
  const width = Math.max(...backends.map((b) => b.name.length));
  for (const b of backends) {
    if (b.available) {
      const software = b.device.software
        ? pc.yellow(' (software: correctness only, never ranked for speed)')
        : '';
      print(
        `  ${pc.green('✓')} ${b.name.padEnd(width)}  ${b.version}  ${b.device.name}  ${b.precisions.join(', ')}${software}`,
      );
    } else {
      print(`  ${pc.red('✗')} ${b.name.padEnd(width)}  ${b.reason}`);
      if (b.fix) print(`    ${' '.repeat(width)}  to add it: ${b.fix}`);
    }
  }
  print(pc.bold('disk'));
  print(
    `  cache ${gib(cache.bytes)} of ${gib(loaded.config.cache.maxBytes)} in ${cache.entries} models; ${gib(diskFree)} free`,
  );
  if (!ok)
    print(
      pc.red(`the parity reference ${loaded.config.parity.reference} cannot run: nothing can be measured`),
    );
  return ok ? 0 : 3;
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
