import { VersusError } from '../core/errors.ts';
import type { Graph, Node } from '../core/graph.ts';
import { inferTypes } from '../graph/infer.ts';
import { bytesOf, type Type } from '../graph/ops/entry.ts';
import { operatorOf } from '../graph/ops/index.ts';
import { readsOf } from './captures.ts';
import { isOp } from './view.ts';

/** Memory that one or several values lie in: a tensor, and what only views it. */
export interface Buffer {
  readonly bytes: number;
  /** The value that was first in it. */
  readonly value: string;
  /** Nodes that read any of its values, by their index. */
  readonly readers: readonly number[];
  /** It outlives the run, or is not the run's own: fed, or a parameter. */
  readonly lasts: boolean;
}

/** What a node reads and makes, as indices of buffers, each once. */
export interface Uses {
  readonly reads: readonly number[];
  readonly makes: readonly number[];
  /** Those of the reads that the first result may be written over. */
  readonly overwritable: readonly number[];
}

/** Operators whose kernels write the result over the first operand. */
const OVER: readonly string[] = [
  ...['Relu', 'LeakyRelu', 'ThresholdedRelu', 'Elu', 'Celu', 'Selu', 'Sigmoid', 'HardSigmoid', 'Tanh'],
  ...['Softplus', 'Softsign', 'Softmax', 'LogSoftmax', 'Clip', 'Cast', 'ScatterElements'],
];

/**
 * Operands that a node's first result may be written over, if nothing else wants them any more and sizes are equal: where
 * onnxruntime's kernels on the CPU do so (1.30, as its profile tells; a test asks it).
 */
export function overwritable(node: Node): readonly string[] {
  return isOp(node, ...OVER) ? node.inputs.slice(0, 1) : [];
}

/** Which memory the nodes of a graph use, all sizes being numbers. */
export class Lifetimes {
  readonly nodes: readonly Node[];
  readonly buffers: readonly Buffer[];
  readonly uses: readonly Uses[];

  /**
   * @param placed outputs that are written to memory which is there already, as the next state over the last one
   * @param types of the values, where they are known already
   * @throws VersusError `input` for a value whose size is not known
   */
  constructor(
    graph: Graph,
    placed: ReadonlySet<string> = new Set(),
    types: ReadonlyMap<string, Type> = inferTypes(graph, {}).types,
  ) {
    const given = new Set([...graph.inputs, ...graph.params].map(({ name }) => name));
    const outputs = new Set(graph.outputs.map((o) => o.name));
    const buffers: { bytes: number; value: string; readers: number[]; lasts: boolean }[] = [];
    const of = new Map<string, number>();
    const add = (value: string, bytes: number, lasts: boolean): number => {
      of.set(value, buffers.length);
      return buffers.push({ bytes, value, readers: [], lasts }) - 1;
    };
    for (const name of given) add(name, 0, true);
    this.nodes = graph.nodes;
    this.uses = graph.nodes.map((node, index) => {
      const reads = [...new Set([...readsOf(node)].map((name) => of.get(name)!))];
      for (const buffer of reads) buffers[buffer]!.readers.push(index);
      const views = operatorOf(node)?.bytes === 'view';
      const makes = node.outputs.flatMap((name, i) => {
        if (name === '') return [];
        const lasts = outputs.has(name);
        // What is given lies in memory of its own, whatever made it.
        if (views && i === 0 && !lasts) {
          of.set(name, of.get(node.inputs[0]!)!);
          return [];
        }
        if (placed.has(name)) return [add(name, 0, true)];
        const type = types.get(name);
        if (!type || type.shape.some((d) => typeof d === 'string')) {
          throw new VersusError('input', `the size of ${name} is not known`, { where: `node ${node.name}` });
        }
        return [add(name, bytesOf(type.dtype, type.shape as number[]), lasts)];
      });
      return { reads, makes, overwritable: overwritable(node).map((name) => of.get(name)!) };
    });
    this.buffers = buffers;
  }

  /**
   * Most bytes that live at once when the nodes run in an order, and at which place of it. A node's results are there before its
   * operands go.
   */
  peak(order: Iterable<number>): { readonly bytes: number; readonly at: number } {
    const left = this.buffers.map((b) => b.readers.length);
    let [live, bytes, at, place] = [0, 0, 0, 0];
    for (const index of order) {
      const taken = this.overwritten(index, left);
      for (const made of this.uses[index]!.makes) live += this.buffers[made]!.bytes;
      if (live - taken > bytes) [bytes, at] = [live - taken, place];
      live -= this.release(index, left);
      place++;
    }
    return { bytes, at };
  }

  /** Bytes that a node doesn't need beside its operands, because it writes over one of them. */
  overwritten(index: number, left: readonly number[]): number {
    const { makes, overwritable } = this.uses[index]!;
    const bytes = makes.length > 0 ? this.buffers[makes[0]!]!.bytes : 0;
    const fits = (b: number) => left[b] === 1 && !this.buffers[b]!.lasts && this.buffers[b]!.bytes === bytes;
    return overwritable.some(fits) ? bytes : 0;
  }

  /** Counts a node's reading off `left`, the readers that each buffer still waits for; @returns the bytes that are free then */
  release(index: number, left: number[]): number {
    const { reads, makes } = this.uses[index]!;
    let freed = 0;
    for (const b of reads) if (--left[b]! === 0 && !this.buffers[b]!.lasts) freed += this.buffers[b]!.bytes;
    for (const b of makes) if (left[b] === 0 && !this.buffers[b]!.lasts) freed += this.buffers[b]!.bytes;
    return freed;
  }
}
