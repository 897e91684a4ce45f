import type { Value } from '../../../graph/builder.ts';
import { transposedWindow, windowOf } from '../../../graph/kernels/window.ts';
import type { Backward, Rule, RuleTable } from '../rule.ts';
import { channelSum } from './channels.ts';
import { inputGradient } from './conv-input.ts';
import { weightGradient } from './conv-weight.ts';
import { fitted } from './geometry.ts';

/** Gradients of the input, the weight and the bias of a convolution, those that are wanted. */
function three(b: Backward, x: () => Value, weight: () => Value): (Value | null)[] {
  const bias = (): Value => channelSum(b, b.dy);
  return [x, weight, bias].slice(0, b.node.inputs.length).map((make, i) => (b.wanted(i) ? make() : null));
}

/** Over any number of spatial axes, with strides, padding, dilations and groups. */
const conv: Rule = (b) => {
  const [image, weight] = [b.in(0), b.in(1)];
  const size = b.sizes(image).slice(2);
  const window = windowOf(b, size, b.sizes(weight).slice(2));
  const group = b.int('group', 1);
  return three(
    b,
    () => inputGradient(b, { weight, upstream: b.dy, window, group, size }),
    () => weightGradient(b, { image, upstream: b.dy, window, group }),
  );
};

/** The adjoint of a convolution, so its own is that convolution; image and upstream of the weight change places. */
const convTranspose: Rule = (b) => {
  const [x, weight] = [b.in(0), b.in(1)];
  const size = b.sizes(x).slice(2);
  const window = { ...transposedWindow(b, size, b.sizes(weight).slice(2)), output: size };
  const group = b.int('group', 1);
  return three(
    b,
    () => {
      const { image, pads } = fitted(b, b.dy, window);
      const { strides, dilations } = window;
      return b.g.conv(image, weight, null, { strides, dilations, pads, group });
    },
    () => weightGradient(b, { image: b.dy, upstream: x, window, group }),
  );
};

/** Convolutions. */
export const convolutions: RuleTable = { Conv: conv, ConvTranspose: convTranspose };
