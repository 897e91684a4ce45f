import { numbered } from './order.ts';
import type { Module, ModuleTensor } from './tree.ts';

/** Equal siblings in a run, `(0-11): 12 × …`; a module that is alone is a run of one. */
export interface Run {
  /** `0-11`, `encoder_layer_0-11`, or the module's name. */
  readonly name: string;
  readonly modules: readonly Module[];
}

/**
 * Folds the children of modules as PyTorch prints lists: consecutive siblings that are numbered one after the other and are
 * equal in all that `mark` says of their tensors, besides layers, names, types and shapes, are one run.
 */
export function folding(root: Module, mark: (tensor: ModuleTensor) => string): (module: Module) => Run[] {
  const shapes = new Map<Module, number>();
  const seen = new Map<string, number>();
  const shapeOf = (module: Module): number => {
    const tensors = module.tensors.map((t) => [
      t.leaf,
      t.dtype,
      t.shape,
      t.role,
      t.graphs,
      t.readAs,
      mark(t),
    ]);
    const children = module.children.map((child) => [child.name, shapeOf(child)]);
    const text = JSON.stringify([module.layer, tensors, children]);
    const shape = seen.get(text) ?? seen.size;
    seen.set(text, shape);
    shapes.set(module, shape);
    return shape;
  };
  shapeOf(root);
  return ({ children }) => {
    const runs: Module[][] = [];
    for (const child of children) {
      const open = runs.at(-1);
      const last = open?.at(-1);
      if (last && follows(last.name, child.name) && shapes.get(last) === shapes.get(child)) open!.push(child);
      else runs.push([child]);
    }
    return runs.map((modules) => ({ name: runName(modules), modules }));
  };
}

function follows(before: string, after: string): boolean {
  const [a, b] = [numbered(before), numbered(after)];
  return a.number !== null && b.number === a.number + 1 && a.stem === b.stem;
}

function runName(modules: readonly Module[]): string {
  const [first, last] = [modules[0]!, modules.at(-1)!];
  return first === last ? first.name : `${first.name}-${numbered(last.name).number}`;
}
