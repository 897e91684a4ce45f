import type { Attribute, Graph, Node } from '../core/graph.ts';
import { sameDim } from '../graph/dims.ts';
import { type Polynomial, polynomialIn, productAt } from './polynomial.ts';
import { type Match, rewriteAll } from './rewrite.ts';
import { isOp, type View } from './view.ts';

/**
 * Activations that are spelt out in elementary operators as the standard operators that they are, however factors and sums
 * are ordered and grouped:
 *
 * - ½x(1 + erf(x ÷ √2)) → Gelu; ½x(1 + tanh(√(2/π)(x + 0.044715x³))) → Gelu with `approximate` tanh
 *   (Hendrycks and Gimpel, 2016);
 * - x·σ(αx) → Swish: SiLU (α = 1), QuickGELU (α = 1.702);
 * - x·clip(x + 3, 0, 6) ÷ 6, x·HardSigmoid(x) → HardSwish; clip(x + 3, 0, 6) ÷ 6 → HardSigmoid;
 * - x·tanh(softplus(x)) → Mish.
 *
 * Numbers may be off by 1e-5 (2e-3 in float16). What another node or the graph's user reads in between keeps a pattern apart.
 */
export async function recogniseActivations(graph: Graph): Promise<Graph> {
  return rewriteAll(graph, (node, view) => {
    if (!isOp(node, 'Mul', 'Div')) return null;
    const { factor, values, nodes } = productAt(node, view);
    if (values.length === 0 || values.length > 2) return null;
    for (const [i, value] of values.entries()) {
      const x = values[1 - i];
      const found = x === undefined ? hardSigmoid(value, factor, view) : times(x, value, factor, view);
      if (!found || !sameShape(node, found.x, view)) continue;
      const made: Node = {
        ...{ op: found.op, name: node.name, inputs: [found.x], outputs: node.outputs, attrs: found.attrs },
        ...(found.floats && { floats: found.floats }),
      };
      return { root: node, inner: [...nodes, ...found.nodes], nodes: [made] } satisfies Match;
    }
    return null;
  });
}

interface Found {
  readonly op: string;
  readonly x: string;
  readonly attrs: Readonly<Record<string, Attribute>>;
  readonly floats?: readonly string[];
  readonly nodes: readonly Node[];
}

/** `factor` · x · value. */
function times(x: string, value: string, factor: number, view: View): Found | null {
  const inner = functionInside(value, view);
  if (!inner) return null;
  const [argument] = inner.inputs as [string];
  const outer = polynomialIn(inner.outputs[0]!, value, view);
  const scaled = outer?.coefficients.map((c) => c * factor) ?? [];
  const found = (op: string, attrs: Found['attrs'], ...parts: readonly Polynomial[]): Found => {
    const floats = 'alpha' in attrs ? { floats: ['alpha'] } : {};
    return { op, x, attrs, ...floats, nodes: [inner, ...outer!.nodes, ...parts.flatMap((p) => p.nodes)] };
  };
  const like = (a: readonly number[], b: readonly number[]): boolean => alike(a, b, x, view);
  if (isOp(inner, 'HardSigmoid')) {
    const { alpha = 0.2, beta = 0.5 } = inner.attrs;
    const fits = argument === x && like([Number(beta), Number(alpha)], [0.5, 1 / 6]) && like(scaled, [0, 1]);
    return fits ? found('HardSwish', {}) : null;
  }
  if (isOp(inner, 'Tanh') && like(scaled, [0, 1])) {
    const softplus = view.producer(argument, 'Softplus');
    if (softplus?.inputs[0] === x) return found('Mish', {}, { coefficients: [], nodes: [softplus] });
  }
  const within = polynomialIn(x, argument, view);
  if (!within) return null;
  const { coefficients } = within;
  if (isOp(inner, 'Clip')) {
    const fits = like(coefficients, [3, 1]) && clipsToSix(inner, view) && like(scaled, [0, 1 / 6]);
    return fits ? found('HardSwish', {}, within) : null;
  }
  if (isOp(inner, 'Sigmoid')) {
    const [shift, alpha, ...others] = coefficients;
    if (shift !== 0 || alpha === undefined || others.length > 0 || !like(scaled, [0, 1])) return null;
    return found('Swish', { alpha }, within);
  }
  if (!like(scaled, [0.5, 0.5])) return null;
  if (isOp(inner, 'Erf'))
    return like(coefficients, [0, Math.SQRT1_2]) ? found('Gelu', { approximate: 'none' }, within) : null;
  const slope = Math.sqrt(2 / Math.PI);
  const tanh = isOp(inner, 'Tanh') && like(coefficients, [0, slope, 0, 0.044715 * slope]);
  return tanh ? found('Gelu', { approximate: 'tanh' }, within) : null;
}

/** clip(x + 3, 0, 6) ÷ 6 by itself. */
function hardSigmoid(value: string, factor: number, view: View): Found | null {
  const clip = view.producer(value, 'Clip');
  const sum = clip && view.producer(clip.inputs[0], 'Add');
  const x = sum?.inputs.find((name) => view.scalar(name) === undefined);
  if (!clip || x === undefined || !clipsToSix(clip, view)) return null;
  const within = polynomialIn(x, clip.inputs[0]!, view);
  if (!within || !alike(within.coefficients, [3, 1], x, view) || !alike([factor], [1 / 6], x, view))
    return null;
  const attrs = { alpha: 1 / 6, beta: 0.5 };
  return { op: 'HardSigmoid', x, attrs, floats: ['alpha', 'beta'], nodes: [clip, ...within.nodes] };
}

const FUNCTIONS = ['Erf', 'Tanh', 'Sigmoid', 'HardSigmoid', 'Clip'] as const;

/** The function that a factor is made of, behind sums and products with numbers. */
function functionInside(value: string, view: View): Node | null {
  let name: string | undefined = value;
  for (let depth = 0; depth < 4 && name !== undefined; depth++) {
    const node: Node | undefined = view.producer(name);
    if (!node) return null;
    if (isOp(node, ...FUNCTIONS)) return node;
    if (!isOp(node, 'Add', 'Sub', 'Mul', 'Div')) return null;
    name = node.inputs.find((input) => view.scalar(input) === undefined);
  }
  return null;
}

function clipsToSix({ attrs, inputs }: Node, view: View): boolean {
  return (attrs.min ?? view.scalar(inputs[1])) === 0 && (attrs.max ?? view.scalar(inputs[2])) === 6;
}

function alike(a: readonly number[], b: readonly number[], x: string, view: View): boolean {
  const tolerance = view.type(x)?.dtype === 'float16' ? 2e-3 : 1e-5;
  return a.length === b.length && a.every((v, i) => Math.abs(v - b[i]!) <= tolerance * Math.abs(b[i]!));
}

/** Numbers of a higher rank would make the result one, too. */
function sameShape(node: Node, x: string, view: View): boolean {
  const [a, b] = [view.type(node.outputs[0])?.shape, view.type(x)?.shape];
  return Boolean(a && b && a.length === b.length && a.every((d, i) => sameDim(d, b[i]!)));
}
