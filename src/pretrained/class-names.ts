/** Names by logit; a checkpoint that was never told any has `LABEL_0`, `LABEL_1` … */
export function classNames(config: Readonly<Record<string, unknown>> | null): string[] | undefined {
  const table = config?.id2label;
  if (typeof table !== 'object' || table === null) return undefined;
  const byIndex = table as Readonly<Record<string, unknown>>;
  const names = Object.keys(byIndex).map((_, i) => byIndex[String(i)]);
  if (names.length === 0 || !names.every((name) => typeof name === 'string')) return undefined;
  return names.every((name) => /^LABEL_\d+$/.test(name)) ? undefined : names;
}
