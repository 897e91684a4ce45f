import { PARTS, type Part } from '../core/model.ts';
import type { Module, ModuleTensor } from './tree.ts';

/** A part of a model; `rest` is what no part owns. */
export interface PartShare {
  readonly part: Part | 'rest';
  readonly parameters: number;
  /** The largest modules that lie in it wholly, and parameters of its own elsewhere, by their whole names. */
  readonly modules: readonly string[];
}

type Find = (tensor: ModuleTensor) => Part | undefined;

/**
 * The parts of a model and what belongs to them, in the order of `PARTS`; empty for a model without parts. Buffers and
 * packed matrices belong where the module's parameters do.
 */
export function partShares(root: Module, find: Find): PartShare[] {
  const whole = wholeParts(root, find);
  const found = new Map<Part | 'rest', { parameters: number; modules: string[] }>();
  const add = (part: Part | 'rest', name: string, parameters: number): void => {
    const share = found.get(part) ?? { parameters: 0, modules: [] };
    found.set(part, share);
    share.parameters += parameters;
    share.modules.push(name);
  };
  const visit = (module: Module): void => {
    const part = whole.get(module);
    if (part !== undefined && module !== root) {
      add(part, module.path, module.parameters);
      return;
    }
    for (const t of module.tensors) if (t.role === 'weight') add(find(t) ?? 'rest', t.name, t.elements);
    for (const child of module.children) visit(child);
  };
  visit(root);
  if (PARTS.every((part) => !found.has(part))) return [];
  return [...PARTS, 'rest' as const].flatMap((part) => {
    const share = found.get(part);
    return share ? [{ part, ...share }] : [];
  });
}

/** The part of every module all of whose parameters belong to one (or to none: `rest`); modules without parameters have none. */
export function wholeParts(root: Module, find: Find): Map<Module, Part | 'rest'> {
  const whole = new Map<Module, Part | 'rest'>();
  const visit = (module: Module): Set<Part | 'rest'> => {
    const present = new Set<Part | 'rest'>();
    for (const t of module.tensors) if (t.role === 'weight') present.add(find(t) ?? 'rest');
    for (const child of module.children) for (const part of visit(child)) present.add(part);
    const [part] = present;
    if (present.size === 1 && part) whole.set(module, part);
    return present;
  };
  visit(root);
  return whole;
}

/** Sums a number of each tensor over every module and what lies below it. */
export function sums(root: Module, of: (tensor: ModuleTensor) => number): Map<Module, number> {
  const totals = new Map<Module, number>();
  const visit = (module: Module): number => {
    let total = 0;
    for (const t of module.tensors) total += of(t);
    for (const child of module.children) total += visit(child);
    totals.set(module, total);
    return total;
  };
  visit(root);
  return totals;
}
