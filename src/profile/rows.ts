import type { NodeTime } from '../core/backend.ts';
import type { Work } from './costs.ts';

/** The most that a machine reaches, measured: FLOP/s and bytes/s; null where that was not measured. */
export interface Peak {
  readonly flops: number | null;
  readonly bandwidth: number | null;
}

/** What an operator, or one node, took: of one run, at the median of the runs. */
export interface Row {
  readonly operator: string;
  readonly count: number;
  readonly ms: number;
  /** Of the time of all nodes, 0..1. */
  readonly share: number;
  /** Null where a node's work is not known. */
  readonly macs: number | null;
  readonly bytes: number | null;
  /** 2 × MACs ÷ time; null also where nothing was computed or no time was measured. */
  readonly gflops: number | null;
  readonly gbytes: number | null;
  /** Of the machine's measured peaks, 0..1 and more where caches outrun the memory. */
  readonly share_of_flops: number | null;
  readonly share_of_bandwidth: number | null;
  /** Devices or providers that ran it. */
  readonly devices: readonly string[];
}

export interface NodeRow extends Row {
  readonly name: string;
  readonly inputs: NodeTime['inputs'];
  readonly outputs: NodeTime['outputs'];
}

/** One row per node, the slowest first. Runs before `warmup` don't count. */
export function nodeRows(
  times: readonly NodeTime[],
  works: readonly Work[],
  peak: Peak,
  warmup: number,
): NodeRow[] {
  const each = times.map(({ ms }) => median(ms.length > warmup ? ms.slice(warmup) : ms));
  const total = each.reduce((a, b) => a + b, 0);
  return times
    .map((time, i) => ({
      name: time.name,
      ...rowOf(time.op, 1, each[i]!, total, works[i]!, peak, [time.device]),
      inputs: time.inputs,
      outputs: time.outputs,
    }))
    .sort((a, b) => b.ms - a.ms);
}

/** One row per operator, the most time first. Work that is unknown of one node is unknown of the sum. */
export function operatorRows(nodes: readonly NodeRow[], peak: Peak): Row[] {
  const total = nodes.reduce((sum, { ms }) => sum + ms, 0);
  const groups = new Map<string, NodeRow[]>();
  for (const node of nodes) groups.set(node.operator, [...(groups.get(node.operator) ?? []), node]);
  return [...groups]
    .map(([operator, own]) => {
      const sum = (of: (row: NodeRow) => number | null) =>
        own.reduce<number | null>((all, row) => add(all, of(row)), 0);
      const work = { macs: sum((row) => row.macs), bytes: sum((row) => row.bytes) };
      const devices = [...new Set(own.flatMap((row) => row.devices))].sort();
      return rowOf(operator, own.length, sum((row) => row.ms) ?? 0, total, work, peak, devices);
    })
    .sort((a, b) => b.ms - a.ms);
}

const add = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a + b);

function rowOf(
  operator: string,
  count: number,
  ms: number,
  total: number,
  { macs, bytes }: Work,
  peak: Peak,
  devices: readonly string[],
): Row {
  const perSecond = (amount: number | null) =>
    amount === null || amount === 0 || ms === 0 ? null : (amount / ms) * 1000;
  const [flops, bandwidth] = [perSecond(macs === null ? null : 2 * macs), perSecond(bytes)];
  const of = (reached: number | null, most: number | null) =>
    reached === null || most === null ? null : reached / most;
  return {
    ...{ operator, count, ms, share: total === 0 ? 0 : ms / total, macs, bytes },
    gflops: flops === null ? null : flops / 1e9,
    gbytes: bandwidth === null ? null : bandwidth / 1e9,
    share_of_flops: of(flops, peak.flops),
    share_of_bandwidth: of(bandwidth, peak.bandwidth),
    devices,
  };
}

/** Of an even number of values the mean of the middle two; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return sorted.length === 0 ? 0 : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
