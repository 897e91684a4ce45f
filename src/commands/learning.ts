import type { ModelDef } from '../core/model.ts';
import { requireNames } from '../core/names.ts';
import type { TrainingOptions } from '../estimate/training.ts';
import { loraTargets } from '../transform/lora-targets.ts';
import { trainedIn, weightParts } from '../transform/scope.ts';
import { loraOption } from './lora-option.ts';

const HOWS = ['full', 'lora'] as const;
/** What `--train lora` wraps when nothing is said: the rank of PEFT's examples on every linear layer. */
const LORA = 'r=8,targets=all-linear';

/**
 * What learns: every parameter of the scope, or (with `lora`, or where a LoRA is given) adapters beside its weights.
 * @throws VersusError `usage` for a scope or targets that the model doesn't have
 */
export async function learningOf(
  model: ModelDef,
  asked: { readonly train: string; readonly scope?: string; readonly lora?: string },
): Promise<Pick<TrainingOptions, 'trainable' | 'adapters'>> {
  requireNames('way of training', [asked.train], HOWS);
  const graphs = Object.values(await model.build(model.config));
  const scope = trainedIn(asked.scope ?? 'full', weightParts(graphs, model.parts), model.name);
  if (asked.train === 'full') return { trainable: scope };
  const spec = loraOption(asked.lora ?? LORA);
  const targets = loraTargets(graphs, spec, { model: model.name, within: scope });
  const adapters = targets.map(({ tensor, parameters }) => [tensor, { rank: spec.r, parameters }] as const);
  return { trainable: new Set(), adapters: new Map(adapters) };
}
