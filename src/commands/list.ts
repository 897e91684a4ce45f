import type { LoadedConfig } from '../config.ts';
import type { ModelDef } from '../core/model.ts';
import { unknownName } from '../core/names.ts';
import { type CommonOptions, lookingContextOf, print, printJson } from './context.ts';
import { allModels } from './select.ts';

const KINDS = ['suites', 'models', 'backends', 'datasets', 'profiles'] as const;
type Kind = (typeof KINDS)[number];

/** `versus list [what] [--json]`: one array of records per kind. Nothing is probed or built: `doctor` and `inspect` do that. */
export async function listCommand(what: string | undefined, options: CommonOptions): Promise<number> {
  if (what !== undefined && !KINDS.includes(what as Kind)) throw unknownName('list', what, KINDS);
  const loaded = await lookingContextOf(options);
  const kinds = what === undefined ? KINDS : [what as Kind];
  const entries = kinds.map((kind) => [kind, listing(kind, loaded)] as const);
  if (options.json) {
    printJson(what === undefined ? Object.fromEntries(entries) : entries[0]![1]);
    return 0;
  }
  for (const [kind, rows] of entries) {
    print(kind);
    const width = Math.max(...rows.map((row) => row.name.length), 0);
    for (const { name, text } of rows) print(`  ${name.padEnd(width)}  ${text}`);
    print('');
  }
  return 0;
}

interface Row {
  readonly name: string;
  readonly text: string;
  readonly [field: string]: unknown;
}

function listing(kind: Kind, loaded: LoadedConfig): Row[] {
  const { config } = loaded;
  switch (kind) {
    case 'suites':
      return config.suites.map((suite) => ({
        name: suite.name,
        text: suite.question,
        arms: suite.arms.map((arm) => arm.name),
        workloads: suite.uses.map((use) => use.workload.name),
      }));
    case 'models':
      return allModels(config).map((model) => ({ name: model.name, text: describe(model), ...facts(model) }));
    case 'backends':
      return config.backends.map((backend) => ({ name: backend.name, text: "see 'versus doctor'" }));
    case 'datasets':
      return config.datasets.map((dataset) => ({ name: dataset.name, text: dataset.description }));
    case 'profiles':
      return Object.entries(config.profiles).map(([name, profile]) => ({
        name,
        text: `${profile.rounds} rounds, tier ${profile.tier}${profile.unnamed ? ` (${profile.unnamed} where no suite is named)` : ''}`,
        ...profile,
      }));
  }
}

function facts(model: ModelDef): Record<string, unknown> {
  return {
    family: model.family,
    task: model.task,
    parameters: model.published?.parameters ?? null,
    source: model.published?.source ?? null,
  };
}

function describe(model: ModelDef): string {
  const parameters = model.published?.parameters;
  return `${model.family}, ${model.task}${parameters ? `, ${(parameters / 1e6).toFixed(1)} M parameters` : ''}`;
}
