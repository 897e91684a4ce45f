import { setTimeout as sleep } from 'node:timers/promises';
import { pairedBootstrapRatio } from '../src/stats/bootstrap.ts';
import { median } from '../src/stats/order.ts';

/** onnxruntime's threads spin on for a while after a run; the next session must not have to share the cores with them. */
const SETTLE_MS = 40;

/** Two tasks in turn (A B, then B A …), a median of each per round, and the ratio A ÷ B over rounds with its 95% interval. */
export async function pairedRatio(
  a: () => Promise<number>,
  b: () => Promise<number>,
  options: { rounds: number; perRound: number },
): Promise<string> {
  for (const task of [a, b, a, b]) await task();
  const as: number[] = [];
  const bs: number[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const inRound: [number[], number[]] = [[], []];
    for (let i = 0; i < options.perRound; i++) {
      const order = (round + i) % 2 === 0 ? [0, 1] : [1, 0];
      for (const which of order) {
        await sleep(SETTLE_MS);
        inRound[which]!.push(await (which === 0 ? a() : b()));
      }
    }
    as.push(median(inRound[0]));
    bs.push(median(inRound[1]));
  }
  const result = pairedBootstrapRatio(bs, as);
  if (result === null) throw new Error('a ratio needs at least 3 rounds');
  const { ratio, interval } = result;
  const range = `[${interval.lo.toFixed(3)}, ${interval.hi.toFixed(3)}]`;
  return `${ratio.toFixed(3)} ${range} over ${options.rounds} rounds of ${options.perRound}`;
}
