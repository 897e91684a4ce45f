import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { Backend } from '../core/backend.ts';
import type { Config } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { unknownName } from '../core/names.ts';
import { openOnnx } from '../graph/onnx/index.ts';
import { models as zoo } from '../zoo/index.ts';

/** Every model that can be named: the config's, those of its arms, and the zoo; the config's win. */
export function allModels(config: Config): ModelDef[] {
  const byName = new Map<string, ModelDef>();
  const arms = config.suites.flatMap((suite) => suite.arms.map((arm) => arm.model));
  for (const model of [...config.models, ...arms, ...zoo()]) {
    if (!byName.has(model.name)) byName.set(model.name, model);
  }
  return [...byName.values()].sort((a, b) => a.name.localeCompare(b.name));
}

/** A model by name, or a path to an .onnx file as a model of its own. */
export async function findModel(config: Config, name: string): Promise<ModelDef> {
  const models = allModels(config);
  const known = models.find((model) => model.name === name);
  if (known) return known;
  if (name.endsWith('.onnx') && existsSync(name)) return onnxModel(resolve(name));
  throw unknownName(
    'model',
    name,
    models.map((model) => model.name),
  );
}

function onnxModel(path: string): ModelDef {
  return {
    name: basename(path),
    family: 'onnx',
    task: 'classify',
    config: {},
    files: { model: path },
    build: async () => ({ model: (await openOnnx(path)).graph }),
  };
}

/** A backend by name. @throws VersusError `usage` with the nearest names. */
export function findBackend(config: Config, name: string): Backend {
  const backend = config.backends.find((candidate) => candidate.name === name);
  if (!backend)
    throw unknownName(
      'backend',
      name,
      config.backends.map((candidate) => candidate.name),
    );
  return backend;
}

/** @throws VersusError `infrastructure` when it cannot run here, with what would change that */
export async function requireAvailable(backend: Backend): Promise<void> {
  const answer = await backend.probe();
  if (answer.available) return;
  throw new VersusError('infrastructure', `${backend.name} cannot run here: ${answer.reason}`, {
    ...(answer.fix === null ? {} : { next: answer.fix }),
  });
}
