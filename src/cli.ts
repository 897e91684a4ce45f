import { Command, CommanderError } from 'commander';
import { declareWith } from './cli/declare.ts';
import { addLooking } from './cli/looking.ts';
import { addMeasuring } from './cli/measuring.ts';
import { addTraining } from './cli/training.ts';
import type { Code } from './code/index.mjs';
import { FromSources, runFrom } from './code/running.ts';
import { version } from './commands/version.ts';
import { reasonOf, VersusError } from './core/errors.ts';

/** Exit codes, the same for every command. */
const EXIT = { ok: 0, usage: 2, infrastructure: 3 } as const;

/** Builds the command line. `done` receives the exit code of the command that ran. */
function program(done: (code: number) => void): Command {
  const root = new Command('versus')
    .description('Which is better, A or B, on my machine, and am I sure?')
    .version(version, '-V, --version')
    .option('--config <file>', 'config file (default: bench.config.ts in this folder)')
    .showHelpAfterError('(add --help for the options)')
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      `
Examples:
  versus run                                   an overview of every suite, some minutes
  versus run --profile full                    every arm of every suite
  versus run classification --profile smoke    one suite, quickly
  versus run --model 'resnet-*' --backend onnxruntime-cpu --rounds 12
  versus report                                rebuild the newest run's report without measuring
  versus baseline save && versus gate          hold later runs against this one
  versus doctor                                what can run here, and what is missing

Exit codes: 0 ok · 1 regression · 2 usage or config · 3 invalid results or infrastructure · 4 inconclusive (--strict)`,
    );
  const declare = declareWith(done);
  addMeasuring(root, declare);
  addTraining(root, declare);
  addLooking(root, declare);
  return root;
}

/** Sets exitOverride on a command and all below it: commander must not exit on its own. */
function neverExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) neverExit(child);
}

/**
 * Runs a command line and exits with its code. `from`: the JavaScript that this is part of.
 * @returns false where nothing was done, because it has to be done from sources
 */
export async function main(argv: readonly string[], from: Code | null = null): Promise<boolean> {
  runFrom(from);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
  let code: number = EXIT.ok;
  const root = program((value) => {
    code = value;
  });
  neverExit(root);
  const stuck = (): void => {
    process.stderr.write('versus: nothing is left to wait for, but the work is not done\n');
    process.stderr.write('  next: look for an `await` in the config or a plugin that never ends\n');
    process.exit(EXIT.usage);
  };
  process.once('beforeExit', stuck);
  try {
    await root.parseAsync([...argv]);
  } catch (error) {
    if (error instanceof FromSources) {
      process.off('beforeExit', stuck);
      return false;
    }
    code = explain(error);
  }
  // Native runtimes may hold handles open; what was written must be out before we leave.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
  return true;
}

function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof VersusError) {
    process.stderr.write(`versus: ${error.describe()}\n`);
    return error.kind === 'usage' ? EXIT.usage : EXIT.infrastructure;
  }
  const stack = process.env.VERSUS_DEBUG && error instanceof Error ? `\n${error.stack}` : '';
  process.stderr.write(
    `versus: unexpected error: ${reasonOf(error)}${stack}\n  next: run again with VERSUS_DEBUG=1 for the stack, and report it\n`,
  );
  return EXIT.infrastructure;
}
