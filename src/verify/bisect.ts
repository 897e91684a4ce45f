/** The first node whose result differs between two backends. */
import type { Backend, OpenOptions, Precision } from '../core/backend.ts';
import type { Artifact } from '../core/model.ts';
import type { Tensors } from '../core/tensor.ts';
import { compareOutputs, type OutputDifference } from '../stats/parity.ts';
import { type NodeReport, reportOf } from './alone.ts';
import { fusedAt } from './fusion.ts';
import { plain, runOnce } from './model.ts';
import { sweep } from './sweep.ts';
import { Workbench } from './workbench.ts';

export interface BisectOptions {
  readonly cacheDir: string;
  readonly precision: Precision;
  readonly tolerance: number;
  readonly progress?: (what: string) => void;
  /** As `SweepOptions` has it. */
  readonly batchBytes?: number;
}

/**
 * - `agrees`: no output differs;
 * - `node`: this node's result differs while all before it agree;
 * - `fusion`: only with the runtime's optimisation on; the node is where what was fused ends (null where none can be named);
 * - `optimised`: only with it, too, but this node by itself: another kernel or layout is chosen for it;
 * - `not-finite`: the backends agree, and the reference itself computes NaN or infinity, first at this node;
 * - `vanishes`: outputs differ, but not once intermediate values are outputs too.
 */
export type Outcome = 'agrees' | 'node' | 'fusion' | 'optimised' | 'not-finite' | 'vanishes';

export interface Bisection {
  readonly graph: string;
  readonly backend: string;
  readonly reference: string;
  readonly outcome: Outcome;
  readonly node: NodeReport | null;
  /** Of `fusion` and `optimised`: the lowest level of optimisation at which outputs differ. */
  readonly level: OpenOptions['optimisation'] | null;
  /** How many intermediate values were compared. */
  readonly compared: number;
}

/**
 * Runs one graph on the same inputs on both backends and looks for the first node at which they part.
 * With optimisation disabled every intermediate value can be looked at; what differs only with it is a fusion.
 *
 * @throws whatever keeps either backend from running the graph
 */
export async function bisect(
  artifact: Artifact,
  feeds: Tensors,
  backend: Backend,
  against: Backend,
  options: BisectOptions,
): Promise<Bisection> {
  const { precision, tolerance, progress, cacheDir } = options;
  const names = { graph: artifact.graphName, backend: backend.name, reference: against.name };
  const reference = { backend: against, open: plain(precision) };
  const expected = await runOnce(against, artifact, feeds, reference.open);
  const off = async (open: OpenOptions): Promise<OutputDifference[]> =>
    compareOutputs(await runOnce(backend, artifact, feeds, open), expected, tolerance).filter(
      (o) => !o.agrees,
    );
  const optimised = await off({ precision });
  if (optimised.length === 0) return { ...names, outcome: 'agrees', node: null, level: null, compared: 0 };
  const bench = await Workbench.of(artifact, cacheDir);
  try {
    const tested = { backend, open: plain(precision) };
    if ((await off(tested.open)).length === 0) {
      progress?.('the difference comes with optimisation: looking for the fusion');
      const fast = { backend, open: { precision } };
      const found = await fusedAt(bench, fast, reference, feeds, tolerance, optimised[0]!.name);
      const node = found && (await reportOf(bench, fast, reference, feeds, tolerance, found));
      const outcome = node?.alone?.differs ? 'optimised' : 'fusion';
      return { ...names, outcome, node, level: await levelOf(off, precision), compared: 0 };
    }
    const { first, strange, compared } = await sweep(bench, tested, reference, feeds, tolerance, {
      ...(options.batchBytes !== undefined && { batchBytes: options.batchBytes }),
      progress: (n, all) => progress?.(`${artifact.graphName}: ${n} of ${all} values agree`),
    });
    const found = first ?? strange;
    const node = found && (await reportOf(bench, tested, reference, feeds, tolerance, found));
    const outcome = first ? 'node' : strange ? 'not-finite' : 'vanishes';
    return { ...names, outcome, node, level: null, compared };
  } finally {
    await bench.remove();
  }
}

async function levelOf(
  off: (open: OpenOptions) => Promise<readonly OutputDifference[]>,
  precision: Precision,
): Promise<OpenOptions['optimisation'] | null> {
  for (const optimisation of ['basic', 'extended', 'all'] as const) {
    if ((await off({ precision, optimisation })).length > 0) return optimisation;
  }
  return null;
}
