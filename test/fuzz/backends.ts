import { loadConfig } from '../../src/config.ts';
import type { Backend } from '../../src/core/backend.ts';
import { VersusError } from '../../src/core/errors.ts';

/** A backend of a config file, by name: what the fuzzer and the node tests call a backend is what a user calls one. */
export async function backendNamed(configPath: string, name: string): Promise<Backend> {
  const { config } = await loadConfig(configPath);
  const found = config.backends.find((b) => b.name === name);
  if (found) return found;
  throw new VersusError('usage', `the config has no backend '${name}'`, {
    where: configPath,
    next: `name one of ${config.backends.map((b) => b.name).join(', ')}`,
  });
}

/** A backend that could be asked, and why it can't run here, if it can't. */
export interface Known {
  readonly name: string;
  readonly version: string | null;
  readonly reason: string | null;
}

/** All backends of a config file and whether each runs on this machine. */
export async function probedBackends(configPath: string): Promise<Known[]> {
  const { config } = await loadConfig(configPath);
  return Promise.all(
    config.backends.map(async (backend) => {
      const found = await backend.probe();
      return {
        name: backend.name,
        version: found.version,
        reason: found.available ? null : found.reason,
      };
    }),
  );
}
