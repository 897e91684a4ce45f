import type { Command } from 'commander';
import { type Declare, json, list } from './declare.ts';

/** Commands that make, judge or compare runs. */
export function addMeasuring(root: Command, declare: Declare): void {
  root
    .command('run')
    .description('measure, and write a report')
    .argument(
      '[suite...]',
      'suites to run, with all that the profile has of them (default: an overview of all)',
    )
    .option(
      '--profile <name>',
      'how much to measure: smoke, ci, default (without this option), full, release',
    )
    .option('--backend <name...>', 'only these backends', list)
    .option('--model <glob...>', "only models whose name matches ('resnet-*')", list)
    .option(
      '--precision <name...>',
      'only these precisions (fp32, fp16, int8, int4); also in suites that name none',
      list,
    )
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
  versus run                                   an overview of every suite, some minutes
  versus run fine-tuning                       every arm of one suite
  versus run --profile full                    every arm of every suite
  versus run classification zero-shot --profile smoke
  versus run --backend onnxruntime-cpu --backend onnxruntime-webgpu --model 'vit-*'
  versus run --resume 20260131-101500-k3f9
  versus run --json > run.json                 run id, exit code and the paths of what was written`,
    )
    .action(
      declare(
        () => import('../commands/run.ts'),
        (m) => m.runCommand,
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
      declare(
        () => import('../commands/report.ts'),
        (m) => m.reportCommand,
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
      declare(
        () => import('../commands/compare.ts'),
        (m) => m.compareCommand,
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
      declare(
        () => import('../commands/gate.ts'),
        (m) => m.gateCommand,
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
      declare(
        () => import('../commands/baseline.ts'),
        (m) => m.baselineCommand,
      ),
    );
}
