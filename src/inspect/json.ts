import type { Look } from './look.ts';
import type { Module } from './tree.ts';

/** What `versus inspect --json` prints; the command's documentation says what the keys mean. */
export function lookAsJson(look: Look): Record<string, unknown> {
  const { model, tree, training } = look;
  return {
    name: model.name,
    family: model.family,
    task: model.task,
    parameters: tree.parameters,
    buffers: tree.buffers,
    published: model.published ?? null,
    macs: look.macs,
    weight_bytes: look.weightBytes,
    dims: look.dims,
    config: model.config,
    children: tree.children.map(({ name }) => name),
    tree: moduleAsJson(look, tree),
    parts: look.parts.map(({ part, parameters, modules }) => ({
      part,
      parameters,
      share: shareOf(parameters, tree.parameters),
      modules,
    })),
    scopes: training.scopes,
    scope: scopeAsJson(look),
    lora: loraAsJson(look),
    graphs: look.graphs,
  };
}

function moduleAsJson(look: Look, module: Module): Record<string, unknown> {
  const { name, path, layer, parameters, buffers, tensors, children } = module;
  return {
    name,
    path,
    layer: layer ?? null,
    part: look.partOfModule.get(module) ?? null,
    parameters,
    buffers,
    share: shareOf(parameters, look.tree.parameters),
    ...(look.training.scope && { trainable: look.trainsBelow.get(module) ?? 0 }),
    ...(look.training.lora && { adapter: look.adapterBelow.get(module) ?? 0 }),
    tensors: tensors.map((t) => ({
      name: t.leaf,
      tensor: t.name,
      dtype: t.dtype,
      shape: t.shape,
      role: t.role,
      graphs: t.graphs,
      read_as: t.readAs,
    })),
    children: children.map((child) => moduleAsJson(look, child)),
  };
}

function scopeAsJson({ training: { scope }, tree }: Look): Record<string, unknown> | null {
  if (!scope) return null;
  const { scope: name, trainable, frozen, unread } = scope;
  return { name, trainable, frozen, share: shareOf(trainable, tree.parameters), unread };
}

function loraAsJson({ training: { lora } }: Look): Record<string, unknown> | null {
  if (!lora) return null;
  const { spec, targets, trainable, all } = lora;
  return {
    r: spec.r,
    alpha: spec.alpha,
    targets: spec.targets instanceof RegExp ? `/${spec.targets.source}/` : spec.targets,
    trainable,
    all,
    share: shareOf(trainable, all),
    bytes: { float32: 4 * trainable, float16: 2 * trainable },
    modules: targets.map(({ module, tensor, kind, a, b, parameters, idle }) => ({
      ...{ module, tensor, kind, a, b, parameters },
      unread: idle,
    })),
  };
}

const shareOf = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
