import type { Graph } from '../core/graph.ts';
import type { Part } from '../core/model.ts';
import { type LoraSpec, type LoraTarget, loraTargets } from '../transform/lora-targets.ts';
import { type Scope, scopesOf, trainedIn } from '../transform/scope.ts';
import type { Module } from './tree.ts';
import { tensorsOf } from './tree.ts';

/** What trains when a scope is fine-tuned whole. */
interface ScopeReport {
  readonly scope: Scope;
  readonly trained: ReadonlySet<string>;
  readonly trainable: number;
  readonly frozen: number;
  /** Of the trainable ones, those that no graph reads: they get no gradient. */
  readonly unread: number;
}

/** What trains when a LoRA is put around modules while everything else is frozen. */
interface LoraReport {
  readonly spec: LoraSpec;
  readonly targets: readonly LoraTarget[];
  readonly trainable: number;
  /** Parameters of the model and of the adapter, what PEFT calls all params. */
  readonly all: number;
}

export interface Training {
  readonly scopes: readonly Scope[];
  readonly scope: ScopeReport | null;
  readonly lora: LoraReport | null;
}

/**
 * What `--scope` and `--lora` mean for a model.
 * @param parts as `weightParts` gives them
 * @throws VersusError `usage` as `trainedIn` and `loraTargets`
 */
export function trainingOf(
  model: string,
  graphs: Readonly<Record<string, Graph>>,
  tree: Module,
  parts: ReadonlyMap<string, Part | undefined>,
  asked: { readonly scope?: string; readonly lora?: LoraSpec },
): Training {
  const trained = asked.scope === undefined ? undefined : trainedIn(asked.scope, parts, model);
  const targets =
    asked.lora &&
    loraTargets(Object.values(graphs), asked.lora, { model, ...(trained && { within: trained }) });
  return {
    scopes: scopesOf(parts),
    scope: trained ? scopeReport(asked.scope as Scope, trained, tree) : null,
    lora: asked.lora && targets ? loraReport(asked.lora, targets, tree) : null,
  };
}

function scopeReport(scope: Scope, trained: ReadonlySet<string>, tree: Module): ScopeReport {
  let trainable = 0;
  let unread = 0;
  for (const tensor of tensorsOf(tree)) {
    if (!trained.has(tensor.name)) continue;
    trainable += tensor.elements;
    if (tensor.readAs.length === 0) unread += tensor.elements;
  }
  return { scope, trained, trainable, frozen: tree.parameters - trainable, unread };
}

function loraReport(spec: LoraSpec, targets: readonly LoraTarget[], tree: Module): LoraReport {
  const trainable = targets.reduce((n, target) => n + target.parameters, 0);
  return { spec, targets, trainable, all: tree.parameters + trainable };
}
