import type { DType, TensorData } from './tensor.ts';

/** A dimension: a size, or the name of one that is known only when the graph runs (`batch`, `sequence`). */
export type Dim = number | string;
export type Shape = readonly Dim[];

export interface ValueInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/**
 * How a seeded parameter is drawn: `uniform` in ±bound (bound = std·√3, so that std is the standard deviation), or one
 * constant. Values never change speed or memory; they only have to keep activations finite.
 */
export type Init =
  | { readonly kind: 'uniform'; readonly std: number }
  | { readonly kind: 'constant'; readonly value: number };

/**
 * A named tensor that the graph owns (an ONNX initialiser).
 * - `weight`: learnt, counted as parameter; `buffer`: belongs to the checkpoint but is not learnt (running statistics);
 *   `constant`: belongs to the program (shape vectors, masks) and is in no checkpoint; it carries its `data` here.
 */
export interface Param {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly role: 'weight' | 'buffer' | 'constant';
  readonly init?: Init;
  readonly data?: TensorData;
  /** The parameter is made of another: its bytes follow from that one's numbers. */
  readonly packed?: Packed;
}

/** One of the two tensors that a weight matrix becomes when it is stored in blocks (see `transform/quantise.ts`). */
export interface Packed {
  /** The weight as the model and its checkpoint have it: float32, [N, K], or [K, N] when `transposed`. */
  readonly of: Param;
  readonly transposed: boolean;
  readonly bits: 4 | 8;
  readonly holds: 'values' | 'scales';
  /** Name of the other of the two. */
  readonly twin: string;
}

export type Attribute =
  | number
  | string
  | bigint
  | readonly number[]
  | readonly string[]
  | TensorAttribute
  | GraphAttribute;
/** A tensor as attribute (`value` of Constant). */
export interface TensorAttribute {
  readonly kind: 'tensor';
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}
/** A subgraph as attribute (If, Loop, Scan). Kept so that files round-trip; nothing executes it. */
export interface GraphAttribute {
  readonly kind: 'graph';
  readonly graph: Graph;
}

/**
 * One operation. `op` is an ONNX operator name and `attrs` its attributes; `domain` is '' for the standard operators.
 * Inputs are value names, '' where an optional input is left out.
 * Attribute integers are numbers when they are safe integers, else bigint; a float attribute is `{ float: x }` only in the
 * codec: here both are numbers and the operator table knows which is which (see graph/onnx for what is declared on encode).
 */
export interface Node {
  readonly op: string;
  readonly domain?: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attrs: Readonly<Record<string, Attribute>>;
  /** Names of attributes that ONNX types as FLOAT or FLOATS (a whole number alone cannot tell). */
  readonly floats?: readonly string[];
}

/** An ONNX graph as plain records. Nodes are in topological order and every value has one producer. */
export interface Graph {
  readonly name: string;
  /** Operator-set version by domain; '' is the standard domain. */
  readonly opset: Readonly<Record<string, number>>;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly params: readonly Param[];
  readonly nodes: readonly Node[];
  /** Known types of intermediate values, when shape inference ran. */
  readonly values?: Readonly<Record<string, ValueInfo>>;
}
