import type { Rule, RuleTable } from '../rule.ts';

/**
 * Blocks of pixels go back to the channels that they came from; the order of these is `mode`'s. Not every runtime has SpaceToDepth
 * on its device.
 */
const depthToSpace: Rule = (b) => {
  const { g } = b;
  const block = b.int('blocksize', 1);
  const [n, channels, h, w] = b.sizes(b.in(0)) as [number, number, number, number];
  const split = g.reshape(b.dy, [n, channels / block ** 2, h, block, w, block]);
  const order = b.text('mode', 'DCR') === 'DCR' ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4];
  return [g.reshape(g.transpose(split, order), [n, channels, h, w])];
};

const spaceToDepth: Rule = (b) => [
  b.g.op('DepthToSpace', [b.dy], { blocksize: b.int('blocksize', 1), mode: 'DCR' })[0]!,
];

/** Pixels moved to channels and back. */
export const depths: RuleTable = { DepthToSpace: depthToSpace, SpaceToDepth: spaceToDepth };
