import { folding, type Run } from './fold.ts';
import { count } from './text.ts';
import type { Module, ModuleTensor } from './tree.ts';

/** A line of the tree before it is laid out. */
export interface Row {
  readonly indent: number;
  readonly label: string;
  /** What follows the label, and may be broken over lines. */
  readonly pieces: readonly string[];
  /** The modules or tensors that its figures are summed over; none for a remark. */
  readonly of: readonly Module[] | readonly ModuleTensor[];
}

/** A module of a hostile file may have 100,000 children; a reader has enough of the first. */
const MOST_CHILDREN = 64;
const MOST_TENSORS = 48;
const MOST_NAMES = 12;
const MOST_ROWS = 3000;

/**
 * The tree as rows, `depth` levels of modules below the root (the items of a list are of the list's level); what lies deeper
 * is named in braces. Equal siblings are one row, and the rows inside speak of one of them; a module that nothing reads is
 * said to be unread once. `mark` tells what else must be equal (see `folding`).
 */
export function treeRows(
  root: Module,
  title: string,
  depth: number,
  mark: (tensor: ModuleTensor) => string = () => '',
): Row[] {
  const rows: Row[] = [];
  const runsOf = folding(root, mark);
  const unread = unreadModules(root);
  const inside = (module: Module, indent: number, level: number): void => {
    const groups = tensorGroups(module.tensors, unread.has(module));
    for (const group of groups.slice(0, MOST_TENSORS)) {
      rows.push({ indent, label: groupText(group, unread.has(module)), pieces: [], of: group });
    }
    const rest = groups.slice(MOST_TENSORS).flat();
    if (rest.length > 0)
      rows.push({ indent, label: `… ${count(rest.length)} more tensors`, pieces: [], of: rest });
    const runs = runsOf(module);
    for (const run of runs.slice(0, MOST_CHILDREN)) rowsOf(run, module, indent, level);
    const others = runs.slice(MOST_CHILDREN).flatMap((run) => run.modules);
    if (others.length > 0) {
      rows.push({ indent, label: `… ${count(others.length)} more modules`, pieces: [], of: others });
    }
  };
  const rowsOf = ({ name, modules }: Run, parent: Module, indent: number, level: number): void => {
    if (rows.length > MOST_ROWS) return;
    const module = modules[0]!;
    const leaf = module.children.length === 0;
    const open = !leaf && levelInside(module, level) <= depth;
    const idle = unread.has(module);
    const about = [
      modules.length > 1 ? `${modules.length} ×${leaf ? '' : ` ${count(module.parameters)}`}` : '',
      module.layer ?? '',
      idle && !unread.has(parent) ? 'unread' : '',
    ].filter(Boolean);
    rows.push({
      indent,
      label: `(${name})${about.length > 0 ? `: ${about.join(' ')}` : ''}`,
      pieces: leaf
        ? tensorGroups(module.tensors, idle)
            .slice(0, MOST_TENSORS)
            .map((group) => groupText(group, idle))
        : open
          ? []
          : contents(module, runsOf),
      of: modules,
    });
    if (open) inside(module, indent + 1, levelInside(module, level));
  };
  const isOpen = levelInside(root, 0) <= depth;
  rows.push({ indent: 0, label: title, pieces: isOpen ? [] : contents(root, runsOf), of: [root] });
  if (isOpen) inside(root, 1, levelInside(root, 0));
  if (rows.length <= MOST_ROWS) return rows;
  return [
    ...rows.slice(0, MOST_ROWS),
    { indent: 1, label: '… more: see --depth, or --json for all', pieces: [], of: [] },
  ];
}

/** The level of a module's children: one deeper, except in a list, whose items stand for the list. */
function levelInside({ children }: Module, level: number): number {
  return level > 0 && children.every(({ name }) => /^\d+$/.test(name)) ? level : level + 1;
}

/** `{ norm1, attn, mlp }`, a piece per name. */
function contents(module: Module, runsOf: (module: Module) => Run[]): string[] {
  const all = [...module.tensors.map((t) => t.leaf), ...runsOf(module).map((run) => run.name)];
  const names = all.length > MOST_NAMES ? [...all.slice(0, MOST_NAMES), '…'] : all;
  return names.map((name, i) => `${i === 0 ? '{ ' : ''}${name}${i === names.length - 1 ? ' }' : ''}`);
}

/** Modules in which there are tensors, and nothing reads any of them. */
function unreadModules(root: Module): Set<Module> {
  const unread = new Set<Module>();
  const visit = (module: Module): void => {
    module.children.forEach(visit);
    const { tensors, children } = module;
    const all = tensors.every((t) => t.readAs.length === 0) && children.every((child) => unread.has(child));
    if (all && tensors.length + children.length > 0) unread.add(module);
  };
  visit(root);
  return unread;
}

/** Neighbours that differ in their name alone. */
function tensorGroups(tensors: readonly ModuleTensor[], idle: boolean): ModuleTensor[][] {
  const groups: ModuleTensor[][] = [];
  for (const tensor of tensors) {
    const open = groups.at(-1);
    if (open && open.length < 4 && remark(open[0]!, idle) === remark(tensor, idle)) open.push(tensor);
    else groups.push([tensor]);
  }
  return groups;
}

/** `weight, bias [768]`, `weight [151936, 896] tied (Embedding, Linear)`. */
function groupText(group: readonly ModuleTensor[], idle: boolean): string {
  return `${group.map((t) => t.leaf).join(', ')} ${remark(group[0]!, idle)}`;
}

/** @param idle the module has said already that nothing reads it */
function remark({ shape, role, dtype, graphs, readAs }: ModuleTensor, idle: boolean): string {
  return [
    `[${shape.join(', ')}]`,
    dtype === 'float32' ? '' : dtype,
    role === 'weight' ? '' : role,
    readAs.length === 0 && !idle ? 'unread' : '',
    readAs.length > 1 ? `tied (${readAs.join(', ')})` : '',
    graphs.length > 1 ? `in graphs ${graphs.join(', ')}` : '',
  ]
    .filter(Boolean)
    .join(' ');
}
