import type { Value } from '../../../graph/builder.ts';
import type { Backward, Rule, RuleTable } from '../rule.ts';
import { perChannel } from './channels.ts';
import { centred } from './norm.ts';

/**
 * With y = γ · x̂ + β by channel and x̂ normalised over groups of n elements: the sums of dy and of dy · x̂ over each channel's
 * plane give dβ and dγ, and weighed with γ and summed over a group's channels the two means of dx = (γ · dy − mean(γ · dy) − x̂ ·
 * mean(γ · dy · x̂)) / √(variance + ε) (Wu and He, 2018).
 */
function grouped(b: Backward, groups: number): (Value | null)[] {
  const { g, dy } = b;
  const sizes = b.sizes(b.in(0));
  const [batch, channels, ...plane] = sizes as [number, number, ...number[]];
  const places = plane.reduce((n, d) => n * d, 1);
  const each = channels / groups;
  const asRows = (x: Value): Value => g.reshape(x, [batch, groups, each * places]);
  const planeSum = (x: Value): Value => g.reduceSum(g.reshape(x, [batch, channels, places]), [2], false);
  const { hat, inverse } = centred(b, asRows(b.in(0)), Number(b.node.attrs.epsilon ?? 1e-5));
  const sum = planeSum(dy);
  const along = planeSum(g.mul(dy, g.reshape(hat, sizes)));
  // GroupNormalization of opset 18 scales by group, later ones by channel.
  const isByGroup = b.sizes(b.in(1))[0] === groups && groups !== channels;
  const byChannel = (v: Value): Value =>
    isByGroup ? g.reshape(g.expand(g.reshape(v, [groups, 1]), g.ints([groups, each])), [channels]) : v;
  const ofParameter = (x: Value): Value => {
    const total = g.reduceSum(x, [0], false);
    return isByGroup ? g.reduceSum(g.reshape(total, [groups, each]), [1], false) : total;
  };
  const ofInput = (): Value => {
    const scale = byChannel(b.in(1));
    const meanOf = (x: Value): Value => {
      const weighed = g.reshape(g.mul(x, scale), [batch, groups, each]);
      return g.mul(g.mul(g.reduceSum(weighed, [2], true), 1 / (each * places)), inverse);
    };
    const straight = g.mul(dy, perChannel(b, scale, sizes.length));
    const turned = g.sub(g.mul(asRows(straight), inverse), g.mul(hat, meanOf(along)));
    return g.reshape(g.sub(turned, meanOf(sum)), sizes);
  };
  return [
    b.wanted(0) ? ofInput() : null,
    b.wanted(1) ? ofParameter(along) : null,
    b.wanted(2) ? ofParameter(sum) : null,
  ];
}

const groupNorm: Rule = (b) => grouped(b, b.int('num_groups', 1));

/** Each channel is a group of its own. */
const instanceNorm: Rule = (b) => grouped(b, b.sizes(b.in(0))[1]!);

/** Normalisations of groups of channels of each image. */
export const groupNormalisations: RuleTable = {
  GroupNormalization: groupNorm,
  InstanceNormalization: instanceNorm,
};
