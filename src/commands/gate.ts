import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { LoadedConfig } from '../config.ts';
import { VersusError } from '../core/errors.ts';
import { parseBaseline } from '../gate/baseline.ts';
import { confirm, needsRemeasure } from '../gate/confirm.ts';
import { gabFiles } from '../gate/gab.ts';
import { judge } from '../gate/judge.ts';
import { gateJunit } from '../gate/junit.ts';
import { gateMarkdown } from '../gate/markdown.ts';
import { exitCodeOf, type GateResult } from '../gate/result.ts';
import { readEnvironment } from '../run/environment.ts';
import { type CommonOptions, contextOf, print, printJson, reportsDir, say } from './context.ts';
import { measureRun } from './measure.ts';
import { addFiles } from './render.ts';
import { findRecords, type ReadRun, readRun } from './runs.ts';

interface GateOptions extends CommonOptions {
  readonly baseline?: string;
  readonly run?: string;
  readonly strict?: boolean;
  readonly remeasure: boolean;
  readonly out?: string;
  readonly quiet?: boolean;
}

/**
 * `versus gate`: the newest run (or --run) against the baseline. Suspects are measured again in fresh processes before anything
 * fails. Writes gate.md, gate-junit.xml, gate.json and github-action-benchmark's two files, and appends the summary to
 * $GITHUB_STEP_SUMMARY. Exit code 0 ok, 1 regression, 3 invalid or missing, 4 inconclusive with --strict.
 */
export async function gateCommand(options: GateOptions): Promise<number> {
  const loaded = await contextOf(options);
  const path = baselinePath(loaded, options.baseline);
  if (!existsSync(path)) {
    throw new VersusError('usage', 'there is no baseline', {
      where: path,
      next: "save one from a run that you trust: 'versus baseline save', or name one with --baseline",
    });
  }
  const baseline = parseBaseline(readFileSync(path, 'utf8'), path);
  const run = await readRun(findRecords(reportsDir(loaded), options.run));
  let result = judge(baseline, run.info, run.rows, loaded.config.gate);
  const suspects = needsRemeasure(result);
  if (suspects.length > 0 && options.remeasure)
    result = await measureAgain(loaded, run, result, suspects, options);
  const strict = options.strict ?? false;
  const code = exitCodeOf(result, { strict });
  const markdown = gateMarkdown(result, { strict });
  const written = await addFiles(options.out === undefined ? run.dir : resolve(options.out), [
    { file: 'gate.md', body: markdown },
    { file: 'gate-junit.xml', body: gateJunit(result) },
    { file: 'gate.json', body: `${JSON.stringify({ ...result, exit_code: code }, null, 2)}\n` },
    ...gabFiles(run.rows),
  ]);
  appendToStepSummary(markdown);
  if (options.json) printJson({ ...result, exit_code: code, files: written });
  else print(markdown);
  return code;
}

export function baselinePath(loaded: LoadedConfig, named: string | undefined): string {
  return named === undefined ? resolve(loaded.dir, loaded.config.gate.baseline) : resolve(named);
}

/** Fresh processes for what looks like a regression, in a run of its own inside the judged run's folder. */
async function measureAgain(
  loaded: LoadedConfig,
  run: ReadRun,
  result: GateResult,
  cases: readonly string[],
  options: GateOptions,
): Promise<GateResult> {
  const here = await readEnvironment();
  if (here.fingerprint !== run.info.run.environment.fingerprint) {
    say('! the run was measured on another machine: suspects cannot be measured again here');
    return result;
  }
  say(
    `${cases.length} ${cases.length === 1 ? 'case looks' : 'cases look'} slower: measuring again in fresh processes`,
  );
  const { profile, rounds, plan } = run.info.run;
  const backends = [...new Set(plan.map((cell) => cell.backend))];
  const outcome = await measureRun(loaded, {
    filter: { profile, rounds, backends, cases },
    out: join(run.dir, 'remeasured'),
    quiet: options.quiet,
  });
  if (outcome.outcome !== 'complete') {
    // Without it nothing is confirmed, and an interrupted gate must not read as passed.
    throw new VersusError(
      'infrastructure',
      `the second measurement was ${outcome.outcome}: there is no verdict`,
      {
        where: outcome.recordsPath,
        next: outcome.reason ?? 'run the gate again',
      },
    );
  }
  return confirm(result, (await readRun(outcome.recordsPath)).rows);
}

/** A summary that cannot be written must not turn the verdict around. */
function appendToStepSummary(markdown: string): void {
  const summary = process.env.GITHUB_STEP_SUMMARY;
  if (!summary) return;
  try {
    appendFileSync(summary, `${markdown}\n`);
  } catch (error) {
    say(`! the step summary could not be written: ${String(error)}`);
  }
}
