import { Command, CommanderError, Option } from 'commander';
import { version } from './commands/version.ts';
import { reasonOf, VersusError } from './core/errors.ts';

/** Exit codes, the same for every command. */
const EXIT = { ok: 0, usage: 2, infrastructure: 3 } as const;

type Run = (...args: never[]) => Promise<number>;

/** Loads a command's module only when it is called: `--help` must not wait for onnxruntime. */
function lazily<M>(
  load: () => Promise<M>,
  pick: (module: M) => Run,
): (...args: unknown[]) => Promise<number> {
  return async (...args) => pick(await load())(...(args as never[]));
}

const list = (value: string, previous: string[] = []): string[] => [
  ...previous,
  ...value.split(',').filter(Boolean),
];

/** Builds the command line. `done` receives the exit code of the command that ran. */
function program(done: (code: number) => void): Command {
  const action =
    (run: (...args: unknown[]) => Promise<number>) =>
    async (...args: unknown[]): Promise<void> => {
      const command = args.at(-1) as Command;
      done(await run(...args.slice(0, -2), command.optsWithGlobals()));
    };
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
  versus run                                   the default profile: every suite, about 6 minutes
  versus run classification --profile smoke    one suite, quickly
  versus run --model 'resnet-*' --backend onnxruntime-cpu --rounds 12
  versus report                                rebuild the newest run's report without measuring
  versus baseline save && versus gate          hold later runs against this one
  versus doctor                                what can run here, and what is missing

Exit codes: 0 ok · 1 regression · 2 usage or config · 3 invalid results or infrastructure · 4 inconclusive (--strict)`,
    );
  const json = (): Option => new Option('--json', 'print one JSON document to stdout');

  root
    .command('run')
    .description('measure, and write a report')
    .argument('[suite...]', 'suites to run (default: all of the profile)')
    .option('--profile <name>', 'how much to measure: smoke, ci, default (without this option), release')
    .option('--backend <name...>', 'only these backends', list)
    .option('--model <glob...>', "only models whose name matches ('resnet-*')", list)
    .option('--precision <name...>', 'only these precisions (fp32, fp16)', list)
    .option('--rounds <n>', 'speed rounds instead of the profile’s')
    .option('--shard <i/n>', 'this part of the cells, for several machines')
    .option('--resume <run>', 'finish an interrupted run: its id or folder')
    .option('--out <dir>', 'reports folder instead of the config’s')
    .option('--quiet', 'no progress on stderr')
    .addOption(json())
    .addHelpText(
      'after',
      `
Examples:
  versus run classification zero-shot --profile smoke
  versus run --backend onnxruntime-cpu --backend onnxruntime-webgpu --model 'vit-*'
  versus run --resume 20260131-101500-k3f9
  versus run --json > run.json                 run id, exit code and the paths of what was written`,
    )
    .action(
      action(
        lazily(
          () => import('./commands/run.ts'),
          (m) => m.runCommand,
        ),
      ),
    );

  root
    .command('report')
    .description('rebuild a report from its records, without measuring')
    .argument('[run]', 'run id, its folder or a records.jsonl (default: the newest run)')
    .option('--format <name...>', 'only these: csv, png, svg, html, md, junit, gab', list)
    .option('--out <dir>', 'folder to write to (default: the run’s own and reports/latest)')
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  versus report\n  versus report 20260131-101500-k3f9 --format html,png --out /tmp/report',
    )
    .action(
      action(
        lazily(
          () => import('./commands/report.ts'),
          (m) => m.reportCommand,
        ),
      ),
    );

  root
    .command('compare')
    .description('compare two runs, row by row')
    .argument('<base>', 'run id, folder or records.jsonl')
    .argument('<head>', 'the same')
    .option('--metric <name...>', 'only these metrics', list)
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  versus compare 20260131-101500-k3f9 20260131-113000-p2aa --metric latency',
    )
    .action(
      action(
        lazily(
          () => import('./commands/compare.ts'),
          (m) => m.compareCommand,
        ),
      ),
    );

  root
    .command('gate')
    .description('hold a run against the baseline; suspects are measured again in fresh processes')
    .option('--baseline <file>', 'baseline to hold against (default: the config’s)')
    .option('--run <run>', 'the run to judge (default: the newest)')
    .option('--strict', 'inconclusive rows fail with exit code 4')
    .option('--no-remeasure', 'do not measure suspects again; they stay inconclusive')
    .option('--out <dir>', 'where gate.md, junit.xml and the JSON files go (default: the run’s folder)')
    .option('--quiet', 'no progress on stderr')
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  versus run --profile ci && versus gate --strict\n  versus gate --baseline reports/baselines/main.json --run 20260131-101500-k3f9',
    )
    .action(
      action(
        lazily(
          () => import('./commands/gate.ts'),
          (m) => m.gateCommand,
        ),
      ),
    );

  const baseline = root.command('baseline').description('what later runs are held against');
  baseline
    .command('save')
    .description('save a run as baseline')
    .argument('[run]', 'run id, folder or records.jsonl (default: the newest run)')
    .option('--baseline <file>', 'where to write it (default: the config’s)')
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  versus baseline save\n  versus baseline save 20260131-101500-k3f9 --baseline reports/baselines/release.json',
    )
    .action(
      action(
        lazily(
          () => import('./commands/baseline.ts'),
          (m) => m.baselineCommand,
        ),
      ),
    );

  root
    .command('list')
    .description('what the config and the zoo offer')
    .argument('[what]', 'suites, models, backends, datasets or profiles (default: all)')
    .addOption(json())
    .addHelpText('after', '\nExamples:\n  versus list\n  versus list models --json')
    .action(
      action(
        lazily(
          () => import('./commands/list.ts'),
          (m) => m.listCommand,
        ),
      ),
    );

  root
    .command('inspect')
    .description('parameters, MACs and graphs of a model or an ONNX file')
    .argument('<model>', 'name in the zoo or the config, or a path to an .onnx file')
    .option('--batch <n>', 'batch size of the MACs', '1')
    .option('--dim <name=n...>', 'size of a symbolic dimension', list)
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  versus inspect vit-b-16\n  versus inspect ./model.onnx --dim sequence=128 --json',
    )
    .action(
      action(
        lazily(
          () => import('./commands/inspect.ts'),
          (m) => m.inspectCommand,
        ),
      ),
    );

  root
    .command('verify')
    .description('run a folder of config.json + weights.safetensors (or model.onnx) on its io.safetensors')
    .argument('<dir>', 'the folder')
    .option('--backend <name>', 'backend to verify', 'onnxruntime-cpu')
    .option('--tolerance <x>', 'largest |difference| ÷ max(1, largest |expected|)', '1e-4')
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  versus verify test/fixtures/tv-vit\n  versus verify ./my-checkpoint --backend reference --json\n\nExit codes: 0 every expected output is equal · 3 not',
    )
    .action(
      action(
        lazily(
          () => import('./commands/verify.ts'),
          (m) => m.verifyCommand,
        ),
      ),
    );

  root
    .command('export')
    .description('write a model as ONNX with its weights beside it')
    .argument('<model>', 'name in the zoo or the config')
    .requiredOption('--out <dir>', 'new or empty folder')
    .option('--precision <name>', 'fp32 or fp16', 'fp32')
    .addOption(json())
    .addHelpText('after', '\nExamples:\n  versus export resnet-50 --out ./resnet-50')
    .action(
      action(
        lazily(
          () => import('./commands/export.ts'),
          (m) => m.exportCommand,
        ),
      ),
    );

  root
    .command('doctor')
    .description('what can run on this machine, and the one command that would add what is missing')
    .addOption(json())
    .addHelpText('after', '\nExamples:\n  versus doctor\n  versus doctor --json')
    .action(
      action(
        lazily(
          () => import('./commands/doctor.ts'),
          (m) => m.doctorCommand,
        ),
      ),
    );

  root
    .command('cache')
    .description('size of the artifact cache; `cache clean` empties it')
    .argument('[action]', 'clean')
    .addOption(json())
    .addHelpText('after', '\nExamples:\n  versus cache\n  versus cache clean')
    .action(
      action(
        lazily(
          () => import('./commands/cache.ts'),
          (m) => m.cacheCommand,
        ),
      ),
    );
  return root;
}

/** Sets exitOverride on a command and all below it: commander must not exit on its own. */
function neverExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) neverExit(child);
}

/** Runs a command line and exits with its code. */
export async function main(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
  let code: number = EXIT.ok;
  const root = program((value) => {
    code = value;
  });
  neverExit(root);
  try {
    await root.parseAsync([...argv]);
  } catch (error) {
    code = explain(error);
  }
  // Native runtimes may hold handles open; what was written must be out before we leave.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
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
