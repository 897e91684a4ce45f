import fc from 'fast-check';
import type { Comparison, Finding } from './compare.ts';
import { type Drawn, graphs } from './generate/index.ts';
import { behind, type FuzzCase } from './sketch.ts';

/** A disagreement, as small as shrinking could make it. */
export interface Catch {
  readonly test: FuzzCase;
  readonly findings: readonly Finding[];
  /** With these fast-check draws the same graph again. */
  readonly seed: number;
  readonly path: string;
}

class Disagreement extends Error {
  readonly findings: readonly Finding[];
  constructor(findings: readonly Finding[]) {
    super(findings.map((f) => `${f.backend}: ${f.what}`).join('\n'));
    this.findings = findings;
  }
}

/**
 * Draws `runs` graphs from a seed and compares them; stops at the first disagreement and makes it small. Only findings of
 * the backend that disagreed first count while shrinking, so that one fault does not turn into another on the way.
 *
 * @returns how many graphs were drawn, and what was caught
 */
export async function hunt(
  comparison: Comparison,
  options: { seed: number; runs: number; op?: string; among?: readonly string[]; path?: string },
): Promise<{ runs: number; caught: Catch | null }> {
  let suspect: string | null = null;
  const property = fc.asyncProperty(graphs(options.op), async ({ test }: Drawn) => {
    if (!test) return;
    const all = await comparison.findings(test, options.among);
    const findings = suspect === null ? all : all.filter((f) => f.backend === suspect);
    if (findings.length === 0) return;
    suspect ??= findings[0]!.backend;
    throw new Disagreement(findings);
  });
  const result = await fc.check(property, {
    seed: options.seed,
    numRuns: options.runs,
    ...(options.path !== undefined && { path: options.path }),
  });
  if (!result.failed) return { runs: result.numRuns, caught: null };
  const error = result.errorInstance;
  if (!(error instanceof Disagreement)) throw error;
  const whole = { test: result.counterexample![0].test!, findings: error.findings };
  const smallest = await onlyWhatMatters(comparison, whole, options.among);
  return {
    runs: result.numRuns,
    caught: { ...smallest, seed: result.seed, path: result.counterexamplePath! },
  };
}

/** Shrinking drops the first steps more easily than the last: keeps the nodes behind one output, if they are enough. */
async function onlyWhatMatters(
  comparison: Comparison,
  whole: Pick<Catch, 'test' | 'findings'>,
  among?: readonly string[],
): Promise<Pick<Catch, 'test' | 'findings'>> {
  const names = new Set(whole.test.graph.nodes.flatMap((n) => n.outputs));
  for (const name of names) {
    const test = behind(whole.test, name);
    if (!test) continue;
    const all = await comparison.findings(test, among);
    const findings = all.filter((f) => f.backend === whole.findings[0]!.backend);
    if (findings.length > 0) return { test, findings };
  }
  return whole;
}
