import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { oneLine, VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import { fromBytes, type Tensor, type Tensors, tensor, toBytes } from '../core/tensor.ts';
import { readJson } from '../data/json.ts';
import type { Lora } from '../transform/lora.ts';
import { loraLayers } from '../transform/lora-layers.ts';
import { adapterNames, type LoraSpec, loraTargets } from '../transform/lora-targets.ts';
import { matchNames } from '../weights/checkpoint-names.ts';
import { contained } from '../weights/contained.ts';
import { convert, convertible } from '../weights/convert.ts';
import { openSafetensors, type SafetensorsFile } from '../weights/safetensors.ts';
import { writeFailure, writeSafetensors } from '../weights/safetensors-writer.ts';
import { type AboutAdapter, type AdapterConfig, configText, readConfig } from './adapter-config.ts';

const CONFIG = 'adapter_config.json';
const TENSORS = 'adapter_model.safetensors';
/** PEFT's own modules around a model. */
const PREFIX = 'base_model.model.';

/**
 * Writes an adapter as PEFT does: `adapter_config.json` and `adapter_model.safetensors`, whose tensors are
 * `base_model.model.MODULE.lora_A.weight` [r, in] and `…lora_B.weight` [out, r], of embeddings `…lora_embedding_A` [r, tokens]
 * and `…lora_embedding_B` [width, r]. Equal adapters give equal bytes.
 *
 * @param tensors the trained parameters by the names that `addLora` gave them
 * @throws VersusError `input` when one is missing or of another shape, `infrastructure` when the folder can't be written
 */
export async function saveAdapter(
  folder: string,
  lora: Pick<Lora, 'targets' | 'spec' | 'whole' | 'trained'>,
  tensors: Tensors,
  about: AboutAdapter = {},
): Promise<void> {
  const written: [string, Tensor][] = [];
  const modules = new Set(lora.targets.map((t) => t.module));
  for (const { names, a, b } of lora.targets) {
    for (const [name, shape] of [[names.a, a] as const, [names.b, b] as const]) {
      if (!lora.trained.includes(name)) continue;
      const t = tensors[name];
      if (!t || String(t.shape) !== String(shape))
        throw new VersusError(
          'input',
          `${name} should be [${shape}], found ${t ? `[${t.shape}]` : 'nothing'}`,
        );
      written.push([PREFIX + published(name, modules), t]);
    }
  }
  written.sort(([x], [y]) => (x < y ? -1 : 1));
  try {
    await mkdir(folder, { recursive: true });
    await writeSafetensors(join(folder, TENSORS), Object.fromEntries(written), { format: 'pt' });
    await writeFile(join(folder, CONFIG), configText(lora, about), { flush: true });
  } catch (error) {
    throw writeFailure(folder, error);
  }
}

/** An adapter from files, ready for `addLora` of the graphs that it was loaded for. */
export interface LoadedAdapter {
  readonly spec: LoraSpec;
  /** float32, by the names that `addLora` gives them. */
  readonly tensors: Tensors;
  /** The model that it says it was trained on. */
  readonly baseModel?: string;
}

/**
 * Reads an adapter in PEFT's format for a model. Which modules it wraps is told by its tensors, whose names must fit the
 * model's, give or take the prefixes that checkpoints may have too; nothing that the configuration names is opened.
 *
 * @throws VersusError `input` for files that are damaged, don't belong to each other or don't fit the model; `unsupported` for
 *   other kinds of adapters
 */
export async function loadAdapter(
  folder: string,
  graphs: readonly Graph[],
  { model }: { readonly model: string },
): Promise<LoadedAdapter> {
  if (!(await stat(folder).catch(() => null))?.isDirectory())
    throw new VersusError('input', 'there is no such folder of an adapter', { where: folder });
  const configPath = await contained(folder, CONFIG);
  const config = readConfig(await readJson(configPath), configPath);
  const path = await contained(folder, TENSORS);
  if (
    !(await stat(path).catch(() => null)) &&
    (await stat(join(folder, 'adapter_model.bin')).catch(() => null))
  ) {
    throw new VersusError(
      'unsupported',
      'the adapter is a pickle, which could run anything when it is read',
      {
        where: folder,
        next: 'save it as adapter_model.safetensors (safe_serialization=True, the default of PEFT)',
      },
    );
  }
  const file = await openSafetensors(path);
  try {
    return await fitted(file, config, graphs, model);
  } finally {
    await file.close();
  }
}

async function fitted(
  file: SafetensorsFile,
  config: AdapterConfig,
  graphs: readonly Graph[],
  model: string,
): Promise<LoadedAdapter> {
  const { layers } = loraLayers(graphs);
  const all = new Set(layers.map((l) => l.module));
  const own = new Map<string, string>();
  for (const layer of layers) {
    for (const name of Object.values(adapterNames(layer))) own.set(published(name, all), name);
  }
  // The name that a matrix goes by in a model with several adapters is no part of it.
  const given = new Map(file.names.map((name) => [plain(name), name]));
  const { names } = matchNames([...own.keys()].map(plain), [...given.keys()]);
  const found = new Map(
    [...own].flatMap(([theirs, name]) => {
      const spelt = names.get(plain(theirs));
      return spelt === undefined ? [] : [[name, spelt] as const];
    }),
  );
  const taken = new Set(found.values());
  const left = [...given.keys()].filter((name) => !taken.has(name));
  if (left.length > 0 || found.size === 0) throw fitsNot(file, left, model);

  const ranks = new Map<string, number>();
  const alphas = new Map<string, number>();
  const modules: string[] = [];
  for (const layer of layers) {
    const { a, b } = adapterNames(layer);
    const [spelt, other] = [found.get(a), found.get(b)];
    if (!spelt && !other) continue;
    if (!spelt || !other) throw wrong(file, `${layer.module} has only one of its two matrices`);
    const theirs = spelt.replace(/\.lora_(embedding_)?A(\.weight)?$/, '').replace(PREFIX, '');
    const [rank, alpha] = [config.rankOf(theirs), config.alphaOf(theirs)];
    const r = file.info(given.get(spelt)!)!.shape[0];
    if (r !== rank) throw wrong(file, `${spelt} has rank ${r}, the configuration says ${rank}`);
    if (rank !== config.r) ranks.set(layer.module, rank);
    if (alpha !== config.alpha) alphas.set(layer.module, alpha);
    modules.push(layer.module.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  }
  const spec: LoraSpec = {
    ...{ r: config.r, alpha: config.alpha, targets: new RegExp(modules.join('|')) },
    ...(ranks.size > 0 && { ranks }),
    ...(alphas.size > 0 && { alphas }),
    ...{ rankStabilised: config.rankStabilised, dropout: config.dropout, tied: config.tied },
  };
  const tensors: Tensors = {};
  for (const target of loraTargets(graphs, spec, { model })) {
    for (const [name, shape] of [[target.names.a, target.a] as const, [target.names.b, target.b] as const]) {
      const spelt = given.get(found.get(name)!)!;
      const info = file.info(spelt)!;
      if (String(info.shape) !== String(shape) || !convertible(info.dtype, 'float32'))
        throw wrong(file, `${spelt} is ${info.dtype} [${info.shape}], ${model} wants [${shape}]`);
      const bytes = convert(info.dtype, 'float32', toBytes((await file.read(spelt)).data));
      const exact = bytes.slice(0, 4 * shape.reduce((n, d) => n * d, 1));
      tensors[name] = tensor('float32', shape, fromBytes('float32', exact));
    }
  }
  return { spec, tensors, ...(config.baseModel !== undefined && { baseModel: config.baseModel }) };
}

/**
 * A name as PEFT has it. A MultiheadAttention of PyTorch is wrapped as one module: what is its `in_proj` here carries no name
 * of its own there, and its output projection lies within the layer that is wrapped.
 */
function published(name: string, modules: ReadonlySet<string>): string {
  const [, attention, kind, rest] = /^(.*)\.(in_proj|out_proj)(\.lora_[AB]\.weight)$/.exec(name) ?? [];
  if (attention === undefined || !modules.has(`${attention}.in_proj`)) return name;
  return kind === 'in_proj' ? attention + rest! : `${attention}.base_layer.out_proj${rest}`;
}

/** A name without what differs between ways to wrap and to save the same layer. */
const plain = (name: string): string =>
  name
    .replace(/\.(lora_(?:embedding_)?[AB])\.default(?=\.weight$|$)/, '.$1')
    .replace('.base_layer.out_proj.', '.out_proj.');

function fitsNot(file: SafetensorsFile, left: readonly string[], model: string): VersusError {
  if (left.length === 0) return wrong(file, 'it holds no adapter');
  const some = left.slice(0, 3).map((name) => JSON.stringify(name.slice(0, 200)));
  return new VersusError(
    'input',
    oneLine(
      `${left.length} of its tensors fit no layer of ${model}: ${some.join(', ')}${left.length > 3 ? ' …' : ''}`,
    ),
    {
      where: file.path,
      next: 'name the model that the adapter was trained on (base_model_name_or_path tells)',
    },
  );
}

const wrong = (file: SafetensorsFile, what: string): VersusError =>
  new VersusError('input', oneLine(`the adapter cannot be used: ${what}`), { where: file.path });
