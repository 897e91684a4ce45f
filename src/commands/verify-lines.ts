import { markdownTable } from 'markdown-table';
import pc from 'picocolors';
import type { OutputDifference } from '../stats/parity.ts';
import { type NodeReport, operatorName } from '../verify/alone.ts';
import type { Bisection } from '../verify/bisect.ts';
import type { VerifyResult } from '../verify/index.ts';
import type { GraphVerdict, ModelVerdict } from '../verify/model.ts';

const FIGURES = ['max abs', 'relative to scale', 'cosine', 'top-1', 'problem'];
const mark = (ok: boolean): string => (ok ? pc.green('equal') : pc.red('differs'));

/** `Number.MAX_VALUE` stands for what cannot be compared. */
const figure = (value: number | null): string =>
  value === null || value === Number.MAX_VALUE ? '–' : value.toPrecision(3);

const figures = (o: OutputDifference): string[] => [
  ...[o.max_abs, o.max_rel, o.cosine, o.top1].map(figure),
  o.problem ?? '',
];

/** A recorded run, output by output. */
export function folderLines(result: VerifyResult): string[] {
  const good = result.outputs.filter((o) => o.agrees).length;
  return [
    markdownTable([
      ['output', 'verdict', ...FIGURES],
      ...result.outputs.map((o) => [o.name, mark(o.agrees), ...figures(o)]),
    ]),
    `${result.family} on ${result.backend}: ${good} of ${result.outputs.length} outputs equal within ${result.tolerance}`,
  ];
}

/** One table over all backends and graphs, a line per output. */
export function modelLines(verdict: ModelVerdict): string[] {
  const rows = verdict.backends.flatMap(({ backend, graphs }) =>
    graphs.flatMap((g) => outputRows(g).map((row) => [backend, g.graph, ...row])),
  );
  const sizes = new Map(Object.values(verdict.dims).flatMap((dims) => Object.entries(dims)));
  const at = [...sizes].map(([name, size]) => `${name}=${size}`).join(', ');
  return [
    markdownTable([['backend', 'graph', 'output', 'verdict', ...FIGURES], ...rows]),
    ...verdict.backends.flatMap(({ backend, agrees, graphs }) => {
      const outputs = graphs.flatMap((g) => g.outputs);
      const good = outputs.filter((o) => o.agrees).length;
      const failures = graphs.flatMap((g) => (g.failure ? [g.failure] : []));
      const failed = failures.length > 0 ? `, ${failures.length} of ${graphs.length} graphs did not run` : '';
      return [
        `${verdict.model} in ${verdict.precision} on ${backend}: ${outputs.length > 0 ? mark(agrees) : pc.red('not run')}, ` +
          `${good} of ${outputs.length} outputs equal${failed} within ${verdict.tolerance} of ${verdict.reference} in ` +
          `${verdict.reference_precision}`,
        ...failures.flatMap(({ where, next }) => [
          ...(where ? [`  at: ${where}`] : []),
          ...(next ? [`  next: ${next}`] : []),
        ]),
      ];
    }),
    `inputs: seed ${verdict.seed}${at && `, ${at}`}`,
  ];
}

function outputRows({ outputs, failure }: GraphVerdict): string[][] {
  if (failure) return [['–', pc.red(failure.kind), '–', '–', '–', '–', failure.message]];
  return outputs.map((o) => [o.name, mark(o.agrees), ...figures(o)]);
}

/** What was found of each graph. */
export function bisectionLines(bisections: readonly Bisection[]): string[] {
  return bisections.flatMap((b) => ['', `${b.graph}: ${sentence(b)}`, ...(b.node ? nodeLines(b.node) : [])]);
}

function sentence({ outcome, backend, reference, level, compared }: Bisection): string {
  const pair = `${backend} and ${reference}`;
  switch (outcome) {
    case 'agrees':
      return `${pair} agree`;
    case 'node':
      return `the first node whose result differs between ${pair} (value ${compared} in order):`;
    case 'fusion':
      return `differs only with optimisation${level ? ` (from level ${level} on)` : ''}: a fusion, which ends at`;
    case 'optimised':
      return `differs only with optimisation${level ? ` (from level ${level} on)` : ''}, which computes this node otherwise:`;
    case 'not-finite':
      return `${pair} agree on ${compared} values, but ${reference} itself computes NaN or infinity, first at`;
    case 'vanishes':
      return `outputs differ, but none of ${compared} intermediate values does once they are outputs of the graph`;
  }
}

function nodeLines(node: NodeReport): string[] {
  const attributes = Object.entries(node.attributes).map(
    ([name, value]) => `${name}=${JSON.stringify(value)}`,
  );
  const { output, alone, alone_failure: failure } = node;
  const size = (o: OutputDifference): string =>
    o.problem ??
    `max abs ${figure(o.max_abs)}, relative to scale ${figure(o.max_rel)}, cosine ${figure(o.cosine)}`;
  return [
    `  node        ${node.name || '(unnamed)'}, number ${node.index}`,
    `  operator    ${operatorName(node)}${node.opset === null ? '' : `, opset ${node.opset}`}`,
    `  attributes  ${attributes.join(', ') || 'none'}`,
    ...node.inputs.map(
      (i) =>
        `  input       ${i.name} ${i.dtype} [${i.shape.join(', ')}]${i.parameter ? ', a parameter' : ''}`,
    ),
    `  result      ${output.name} ${output.dtype} [${output.shape.join(', ')}]: ${size(output)}`,
    `  alone       ${
      alone === null
        ? `could not be run: ${failure?.message ?? ''}`
        : alone.differs
          ? `differs too, fed with the reference's own inputs, so it is this node: ${size(alone.output)}`
          : `agrees when fed with the reference's own inputs, so this node is right by itself: ${size(alone.output)}`
    }`,
  ];
}
