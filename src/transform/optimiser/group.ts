import type { Value } from '../../graph/builder.ts';

/** A parameter that trains: what the graph reads as its present numbers (a float32 input), and its gradient. */
export interface Trained {
  readonly name: string;
  readonly value: Value;
  /** Of the parameter's shape; float16 where that is what was computed in. */
  readonly gradient: Value;
}

/** Which parameters are treated otherwise than the rest. */
export interface Groups {
  /** Of those that decay; torch's default of the optimiser when left out. */
  readonly weightDecay?: number;
  /** Whether a parameter decays; all do when left out. */
  readonly decays?: (param: string) => boolean;
  /** Factor of the learning rate for a parameter; 1 when left out. */
  readonly rate?: (param: string) => number;
}

/** Factor of the learning rate, and decay per unit of that rate. */
export function groupOf(groups: Groups, name: string, otherwise: number): { rate: number; decay: number } {
  const decays = groups.decays?.(name) ?? true;
  return { rate: groups.rate?.(name) ?? 1, decay: decays ? (groups.weightDecay ?? otherwise) : 0 };
}

/** Makes each value once: parameters of a group share their scalars. */
export function once<T>(make: (key: number) => T): (key: number) => T {
  const made = new Map<number, T>();
  return (key) => {
    const known = made.get(key) ?? make(key);
    made.set(key, known);
    return known;
  };
}
