import type { LoraTarget } from '../transform/lora-targets.ts';
import type { Look } from './look.ts';
import { bytes, count, flow, percent, plural } from './text.ts';

/** What a scope trains, in words. */
export function scopeLines({ training: { scope, scopes }, tree }: Look, width: number): string[] {
  if (!scope) return [];
  const share = (n: number): string => `${count(n)} (${percent(n / tree.parameters)})`;
  const unread =
    scope.unread > 0
      ? [`of the trained, ${count(scope.unread)} are read by no graph and get no gradient`]
      : [];
  const lines = [
    `${scope.scope}: trains ${share(scope.trainable)}, freezes ${share(scope.frozen)}`,
    ...unread,
    `scopes of this model: ${scopes.join(', ')}`,
  ];
  return lines.flatMap((line) => words(line, width));
}

/** What a LoRA trains and wraps, modules that differ in a number alone as one. */
export function loraLines({ training: { lora } }: Look, width: number): string[] {
  if (!lora) return [];
  const { spec, targets, trainable, all } = lora;
  const idle = targets.filter((t) => t.idle);
  const percentage = ((100 * trainable) / all).toFixed(4);
  const lines = [
    `r=${spec.r}, alpha=${spec.alpha}: trains ${count(trainable)} of ${count(all)} (${percentage}%) in ${plural(targets.length, 'module')}`,
    `adapter: ${bytes(4 * trainable)} in float32, ${bytes(2 * trainable)} in float16`,
    ...(idle.length > 0
      ? [`read by no graph, so their adapters never change: ${plural(idle.length, 'module')}`]
      : []),
  ];
  return [...lines.flatMap((line) => words(line, width)), ...wrappedLines(targets, width)];
}

const words = (line: string, width: number): string[] => flow(line.split(' '), width, ' ');

const MOST_LINES = 40;

function wrappedLines(targets: readonly LoraTarget[], width: number): string[] {
  const families = new Map<string, LoraTarget[]>();
  for (const target of targets) {
    const key = `${target.module.replace(/\d+/g, '*')} ${target.a} ${target.b}`;
    const family = families.get(key) ?? [];
    families.set(key, family);
    family.push(target);
  }
  const lines = [...families.values()].flatMap((family) => {
    const { module, a, b, parameters } = family[0]!;
    const name = family.length === 1 ? module : `${count(family.length)} × ${module.replace(/\d+/g, '*')}`;
    const total = count(family.length * parameters);
    const [first, ...rest] = flow(
      [name, `A [${a.join(', ')}], B [${b.join(', ')}]: ${total}`],
      width - 4,
      '  ',
    );
    return [first ?? '', ...rest.map((line) => `    ${line}`)];
  });
  return lines.length > MOST_LINES
    ? [...lines.slice(0, MOST_LINES), `… ${count(families.size)} kinds in all`]
    : lines;
}
