import type { Code } from './index.mjs';

/** The JavaScript that this process runs from; null: its sources. */
let running: Code | null = null;

/** Says once, at the start, what this process runs from. */
export function runFrom(code: Code | null): void {
  running = code;
}

/**
 * The JavaScript of a config, where this process runs from JavaScript.
 * @throws FromSources where it does, but not with this config: that would load modules a second time.
 */
export function runningCode(configPath: string): Code | null {
  if (running !== null && running.of !== configPath) throw new FromSources();
  return running;
}

/** The command has to begin again from sources, which alone can tell what is wrong. Nothing has been done before. */
export class FromSources extends Error {}
