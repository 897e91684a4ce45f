import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config.ts';
import type { Config } from '../../src/core/config.ts';
import type { Case, RecordLine } from '../../src/core/record.ts';
import type { ConfigAddress, Task } from '../../src/run/protocol.ts';
import { readRecords } from '../../src/run/read-records.ts';

/** The test config, as the command line would hand it over. */
export const ADDRESS: ConfigAddress = {
  path: fileURLToPath(new URL('./fixtures/bench.config.ts', import.meta.url)),
};

/** A folder for reports and the workers' weight cache; call `clean` at the end. */
export function workbench(): { dir: string; clean(): void } {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'versus-run-'));
  process.env.VERSUS_TEST_CACHE = path.join(dir, 'cache');
  return {
    dir,
    clean: () => {
      delete process.env.VERSUS_TEST_CACHE;
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

export async function testConfig(): Promise<Config> {
  return (await loadConfig(ADDRESS.path)).config;
}

/** One process of the suite `single` on a backend. */
export function taskOf(
  config: Config,
  backend: string,
  pass: Case['pass'],
  reference: string,
  profile = 'default',
): Extract<Task, { kind: 'case' }> {
  return {
    kind: 'case',
    config: ADDRESS,
    profile: config.profiles[profile]!,
    reference,
    score: true,
    case: {
      case_id: `single/apply/narrow/${backend}/fp32/b1`,
      suite: 'single',
      workload: 'apply',
      arm: 'narrow',
      group: null,
      model: 'layer-4',
      backend,
      precision: 'fp32',
      batch: 1,
      pass,
      round: 0,
    },
  };
}

export async function recordsIn(file: string): Promise<RecordLine[]> {
  const lines: RecordLine[] = [];
  for await (const line of readRecords(file)) lines.push(line);
  return lines;
}
