import type { LoadedConfig } from '../config.ts';
import { executeRun, type RunOutcome } from '../run/execute.ts';
import type { PlanFilter } from '../run/filter.ts';
import { say } from './context.ts';
import { progressPrinter } from './progress.ts';
import { version } from './version.ts';

interface Measuring {
  readonly filter: PlanFilter;
  readonly out: string;
  readonly resume?: string | undefined;
  readonly quiet?: boolean | undefined;
}

/**
 * Measures, drawing progress. The first Ctrl-C stops in good order, the second kills the running case; both leave time for the
 * report, also when they come in quick succession. Only a third one ends the process.
 */
export async function measureRun(loaded: LoadedConfig, options: Measuring): Promise<RunOutcome> {
  const soft = new AbortController();
  const hard = new AbortController();
  const stop = (): void => {
    if (hard.signal.aborted) {
      release();
      process.kill(process.pid, 'SIGINT');
    } else if (soft.signal.aborted) {
      say('killing the running case; press Ctrl-C again to leave without a report');
      hard.abort();
    } else {
      say(
        '\nstopping: what was measured is kept and reported; press Ctrl-C again to kill the running case at once',
      );
      soft.abort();
    }
  };
  const release = (): void => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await executeRun({
      config: loaded.config,
      configPath: loaded.path,
      filter: options.filter,
      out: options.out,
      resume: options.resume,
      argv: process.argv.slice(2),
      version,
      signal: soft.signal,
      hardSignal: hard.signal,
      onEvent: options.quiet ? undefined : progressPrinter(),
    });
  } finally {
    if (!soft.signal.aborted) release();
  }
}
