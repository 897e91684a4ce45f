import type { Rule, RuleTable } from '../rule.ts';

/** Blocks of pixels go back to the channels that they came from; the order of these is `mode`'s. */
const depthToSpace: Rule = (b) => {
  const { g } = b;
  const block = b.int('blocksize', 1);
  if (b.text('mode', 'DCR') === 'DCR') return [g.op('SpaceToDepth', [b.dy], { blocksize: block })[0]!];
  const [n, channels, h, w] = b.sizes(b.in(0)) as [number, number, number, number];
  const split = g.reshape(b.dy, [n, channels / block ** 2, h, block, w, block]);
  return [g.reshape(g.transpose(split, [0, 1, 3, 5, 2, 4]), [n, channels, h, w])];
};

const spaceToDepth: Rule = (b) => [
  b.g.op('DepthToSpace', [b.dy], { blocksize: b.int('blocksize', 1), mode: 'DCR' })[0]!,
];

/** Pixels moved to channels and back. */
export const depths: RuleTable = { DepthToSpace: depthToSpace, SpaceToDepth: spaceToDepth };
