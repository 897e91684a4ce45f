import type { Colors } from 'picocolors/types.js';
import { configLines } from './config.ts';
import { graphLines, macsText } from './graphs.ts';
import { type Column, layOut } from './layout.ts';
import type { Look } from './look.ts';
import { type Row, treeRows } from './rows.ts';
import { bytes, count, flow, padRight, percent, shortened } from './text.ts';
import { loraLines, scopeLines } from './training-lines.ts';
import { type Module, type ModuleTensor, tensorsOf } from './tree.ts';

interface Style {
  /** Columns of the terminal. */
  readonly width: number;
  /** Levels of modules that are opened. */
  readonly depth: number;
  readonly paint: Colors;
}

/** A model for people: what it is, its hyperparameters, graphs, parts and modules, and what would train. */
export function reportLines(look: Look, style: Style): string[] {
  const { width, paint } = style;
  const { model, graphs } = look;
  const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);
  const section = (head: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', paint.bold(head), ...lines];
  return [
    `${paint.bold(shortened(model.name, width - 30))}  ${shortened(`${model.family}, ${model.task}`, 28)}`,
    ...indented(summary(look, width - 2)),
    ...section('config', indented(configLines(model.config, width - 2))),
    ...section(
      'graphs',
      Object.entries(graphs).flatMap(([name, graph]) => graphLines(name, graph, width)),
    ),
    ...section('parts', indented(partLines(look, width - 2))),
    '',
    ...modules(look, style),
    ...section('scope', indented(scopeLines(look, width - 2))),
    ...section('LoRA', indented(loraLines(look, width - 2))),
  ];
}

function summary({ model, tree, weightBytes, macs, dims }: Look, width: number): string[] {
  const line = (head: string, text: string): string[] => [`${padRight(head, 12)}${text}`];
  const sizes = Object.entries(dims).map(([name, size]) => `${name}=${size}`);
  const children = tree.children.slice(0, 24).map((child) => child.name);
  return [
    ...line('parameters', `${count(tree.parameters)}${publishedNote(tree.parameters, model.published)}`),
    ...(tree.buffers > 0 ? line('buffers', count(tree.buffers)) : []),
    ...line('weights', `${bytes(weightBytes)} of ${dtypesOf(tree)}`),
    ...line('MACs', shortened(`${macsText(macs)} at ${sizes.join(', ')}`, width - 12)),
    ...flow(children, width - 12).flatMap((text, i) => line(i === 0 ? 'children' : '', text)),
    ...(model.published ? line('source', shortened(model.published.source, width - 12)) : []),
  ];
}

function dtypesOf(tree: Module): string {
  const dtypes = new Set<string>();
  for (const { dtype } of tensorsOf(tree)) dtypes.add(dtype);
  return [...dtypes].join(' and ') || 'nothing';
}

function publishedNote(parameters: number, known: Look['model']['published']): string {
  if (known?.parameters === undefined) {
    return known?.rounded === undefined ? '' : `  (published: ${known.rounded})`;
  }
  return parameters === known.parameters ? '  = published' : `  (published: ${count(known.parameters)})`;
}

/** One line per part, with the modules that belong to it; those that differ in a number alone are one, with `*`. */
function partLines({ parts, tree }: Look, width: number): string[] {
  const digits = Math.max(0, ...parts.map((p) => count(p.parameters).length));
  return parts.flatMap(({ part, parameters, modules }) => {
    const head = `${padRight(part, 11)}  ${count(parameters).padStart(digits)}  ${percent(parameters / tree.parameters).padStart(6)}  `;
    const lines = flow(folded(modules), Math.max(24, width - head.length));
    return lines.map((line, i) => `${i === 0 ? head : ' '.repeat(head.length)}${line}`);
  });
}

function folded(names: readonly string[]): string[] {
  const patterns = new Map<string, string[]>();
  for (const name of names) {
    const pattern = name.replace(/(?<=^|\.)\d+(?=\.|$)/g, '*');
    const own = patterns.get(pattern) ?? [];
    patterns.set(pattern, own);
    own.push(name);
  }
  const all = [...patterns].map(([pattern, own]) =>
    own.length === 1 ? own[0]! : `${pattern} (${own.length})`,
  );
  return all.length > 12 ? [...all.slice(0, 12), `… ${count(all.length - 12)} more`] : all;
}

function modules(look: Look, { width, depth, paint }: Style): string[] {
  const { tree, trains, adapter } = look;
  const mark = (t: ModuleTensor): string => `${trains(t) > 0} ${adapter(t)}`;
  const rows = treeRows(tree, look.model.name, depth, mark);
  return layOut(rows, tableOf(look, width), width, 'modules', paint);
}

const PART_WIDTH = 'cross-modal'.length;
const LEAST_NAMES = 40;

/** The columns of figures: parameters and share always, part, scope and adapter where there is something to tell. */
function tableOf(look: Look, width: number): Column[] {
  const { scope, lora } = look.training;
  const { tree, partOfModule } = look;
  const total = (row: Row, tensor: (t: ModuleTensor) => number, below: (m: Module) => number): number =>
    row.of.reduce((n, of) => n + ('children' in of ? below(of) : tensor(of)), 0);
  const own = (row: Row): number =>
    total(
      row,
      (t) => (t.role === 'weight' ? t.elements : 0),
      (m) => m.parameters,
    );
  const table: Column[] = [
    {
      head: 'parameters',
      width: Math.max(10, count(tree.parameters).length),
      align: 'right',
      cell: (row) => (row.of.length === 0 ? '' : count(own(row))),
    },
    {
      head: 'share',
      width: 6,
      align: 'right',
      cell: (row) => (row.of.length === 0 || own(row) === 0 ? '' : percent(own(row) / tree.parameters)),
    },
  ];
  if (scope) {
    const trained = (row: Row): number => total(row, look.trains, (m) => look.trainsBelow.get(m) ?? 0);
    table.push({
      head: 'trains',
      width: 6,
      align: 'right',
      cell: (row) =>
        row.of.length === 0 || own(row) === 0
          ? ''
          : trained(row) === 0
            ? '-'
            : percent(trained(row) / own(row)),
    });
  }
  if (lora) {
    const wrapped = (row: Row): number => total(row, look.adapter, (m) => look.adapterBelow.get(m) ?? 0);
    table.push({
      head: 'adapter',
      width: Math.max(7, count(lora.trainable).length),
      align: 'right',
      cell: (row) => (wrapped(row) === 0 ? '' : count(wrapped(row))),
    });
  }
  const names = width - table.reduce((n, column) => n + 2 + column.width, 0) - 2 - PART_WIDTH;
  // On a narrow terminal names are worth more; the parts have a section of their own.
  if (look.parts.length > 0 && names >= LEAST_NAMES) {
    const part = (row: Row): string => {
      const [first] = row.of;
      return first && 'children' in first ? (partOfModule.get(first) ?? '') : '';
    };
    table.push({ head: 'part', width: PART_WIDTH, align: 'left', cell: part });
  }
  return table;
}
