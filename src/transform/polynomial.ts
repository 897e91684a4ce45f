import type { Node } from '../core/graph.ts';
import { isOp, type View } from './view.ts';

/** Activations are made of polynomials up to x³. */
const MAX_DEGREE = 3;
const MAX_DEPTH = 8;

/** A value as polynomial of another, and the nodes that compute it. */
export interface Polynomial {
  /** Of x⁰, x¹, … without zeros at the end. */
  readonly coefficients: readonly number[];
  readonly nodes: readonly Node[];
}

/**
 * How `name` follows from `x` by sums, products, quotients by numbers and powers, in whatever order and grouping these are
 * written: ½·(x + 1) is [0.5, 0.5]. Null when anything else is involved, or powers above the third.
 */
export function polynomialIn(x: string, name: string, view: View): Polynomial | null {
  const nodes: Node[] = [];
  const coefficients = read(x, name, view, nodes, 0);
  return coefficients && { coefficients, nodes };
}

function read(x: string, name: string, view: View, nodes: Node[], depth: number): number[] | null {
  if (name === x) return [0, 1];
  const scalar = view.scalar(name);
  if (scalar !== undefined) return trimmed([scalar]);
  const node = view.producer(name, 'Add', 'Sub', 'Mul', 'Div', 'Pow', 'Neg');
  if (!node || depth > MAX_DEPTH) return null;
  nodes.push(node);
  const [a, b = [0, 0]] = node.inputs.map((input) => read(x, input, view, nodes, depth + 1));
  if (!a || !b) return null;
  if (isOp(node, 'Add')) return plus(a, b, 1);
  if (isOp(node, 'Sub')) return plus(a, b, -1);
  if (isOp(node, 'Neg')) return times(a, [-1]);
  if (isOp(node, 'Mul')) return times(a, b);
  if (b.length !== 1) return null;
  return isOp(node, 'Div') ? times(a, [1 / b[0]!]) : power(a, b[0]!);
}

function plus(a: readonly number[], b: readonly number[], sign: number): number[] {
  const length = Math.max(a.length, b.length);
  return trimmed(Array.from({ length }, (_, i) => (a[i] ?? 0) + sign * (b[i] ?? 0)));
}

function times(a: readonly number[], b: readonly number[]): number[] | null {
  const out = new Array<number>(Math.max(0, a.length + b.length - 1)).fill(0);
  if (out.length > MAX_DEGREE + 1) return null;
  a.forEach((p, i) => {
    b.forEach((q, j) => {
      out[i + j]! += p * q;
    });
  });
  return trimmed(out);
}

function power(a: readonly number[], exponent: number): number[] | null {
  if (!Number.isInteger(exponent) || exponent < 1 || exponent > MAX_DEGREE) return null;
  let out: number[] | null = [...a];
  for (let i = 1; i < exponent && out; i++) out = times(out, a);
  return out;
}

function trimmed(coefficients: number[]): number[] {
  while (coefficients.at(-1) === 0) coefficients.pop();
  return coefficients;
}

/** A product of values with a number in front: a tree of Mul, and of Div by numbers, read as one. */
export interface Product {
  readonly factor: number;
  readonly values: readonly string[];
  readonly nodes: readonly Node[];
}

/** The product that `root` computes; what others read, too, is a value of it and not taken apart. */
export function productAt(root: Node, view: View): Product {
  const [values, nodes]: [string[], Node[]] = [[], []];
  let factor = 1;
  const open: { name: string; reader: Node }[] = [];
  const take = (node: Node): void => {
    nodes.push(node);
    const [left, right] = node.inputs as [string, string];
    open.push({ name: left, reader: node });
    const number = isOp(node, 'Div') ? view.scalar(right) : undefined;
    if (number !== undefined) factor /= number;
    else open.push({ name: right, reader: node });
  };
  take(root);
  for (let next = open.pop(); next; next = open.pop()) {
    const { name, reader } = next;
    const number = view.scalar(name);
    const node = view.producer(name, 'Mul', 'Div');
    const whole = node && isOp(node, 'Div') && view.scalar(node.inputs[1]) === undefined;
    if (number !== undefined) factor *= number;
    else if (node && !whole && nodes.length < MAX_DEPTH && view.soleReader(name) === reader) take(node);
    else values.push(name);
  }
  return { factor, values, nodes };
}
