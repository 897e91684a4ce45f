import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import { nearest } from '../core/names.ts';
import { elementCount } from '../core/tensor.ts';
import { type LoraLayer, type LoraLayers, loraLayers } from './lora-layers.ts';

/** Low-rank adaptation (Hu et al., 2021): W stays as it is, W + (alpha ÷ r) · B · A is used, A and B are trained. */
export interface LoraSpec {
  /** Rank of the product. */
  readonly r: number;
  readonly alpha: number;
  /**
   * Which modules are wrapped, as PEFT's `target_modules`: a list of names, each of which fits a module of that name and
   * those whose name ends in `.name`; a pattern for the whole name of a module; or `all-linear`, every linear layer but the
   * one that makes a language model's logits.
   */
  readonly targets: readonly string[] | RegExp | 'all-linear';
  /** Ranks and alphas of single modules that differ from those, by the module's whole name. */
  readonly ranks?: ReadonlyMap<string, number>;
  readonly alphas?: ReadonlyMap<string, number>;
  /** The product is scaled by alpha ÷ √r in place of alpha ÷ r (Kalajdzievski, "A rank stabilization scaling factor", 2023). */
  readonly rankStabilised?: boolean;
  /** Share of the adapters' input that is dropped in training; 0 when left out. */
  readonly dropout?: number;
  /**
   * Whether the adapter of an embedding that also makes logits is used for both, as the table is (PEFT's
   * `ensure_weight_tying`); when false only for the embedding, which is what PEFT does by default. True when left out.
   */
  readonly tied?: boolean;
}

/** A wrapped weight and the two matrices that train in its place, in PEFT's layout. */
export interface LoraTarget extends LoraLayer {
  /** [r, in], of a convolution [r, in, …kernel], of an embedding [r, tokens]. */
  readonly a: readonly number[];
  /** [out, r], of a convolution [out, r ÷ groups, 1, …], of an embedding [width, r]. */
  readonly b: readonly number[];
  /** Elements of both: r · (in + out) of a linear layer. */
  readonly parameters: number;
  /** What their product is multiplied with: alpha ÷ r. */
  readonly scale: number;
  /** Names of the two, as PEFT's adapters have them. */
  readonly names: { readonly a: string; readonly b: string };
}

/**
 * What a LoRA wraps in a model; a weight that several graphs share is wrapped once.
 * @param options.within names of the parameters that may be wrapped, of a scope; all when left out
 * @throws VersusError `usage` when a target fits nothing (with near names) or only what LoRA cannot wrap, or when the groups of
 * a convolution don't divide the rank
 */
export function loraTargets(
  graphs: readonly Graph[],
  spec: LoraSpec,
  options: { readonly model: string; readonly within?: ReadonlySet<string> },
): LoraTarget[] {
  const all = loraLayers(graphs);
  const { within } = options;
  const inside = within ? all.layers.filter((layer) => within.has(layer.tensor)) : all.layers;
  const fits = fitting(spec.targets);
  const chosen = inside.filter((layer) => fits.some((fit) => fit.test(layer)));
  for (const fit of fits) {
    if (!inside.some(fit.test)) throw fitsNothing(fit, all, options);
  }
  return chosen.map((layer) => wrap(layer, spec));
}

interface Fit {
  readonly label: string;
  readonly test: (layer: LoraLayer) => boolean;
  /** Whether a module fits by its name alone. */
  readonly named: (module: string) => boolean;
}

function fitting(targets: LoraSpec['targets']): Fit[] {
  if (targets === 'all-linear') {
    const test = ({ kind, output }: LoraLayer): boolean => kind === 'linear' && !output;
    return [{ label: targets, test, named: () => false }];
  }
  if (targets instanceof RegExp) {
    const whole = new RegExp(`^(?:${targets.source})$`, targets.flags.replace(/[gy]/g, ''));
    return [
      { label: String(targets), test: ({ module }) => whole.test(module), named: (m) => whole.test(m) },
    ];
  }
  return targets.map((name) => {
    const named = (module: string): boolean => module === name || module.endsWith(`.${name}`);
    return { label: name, test: ({ module }) => named(module), named };
  });
}

function wrap(layer: LoraLayer, spec: LoraSpec): LoraTarget {
  const { module, from, to, kernel, groups } = layer;
  const r = spec.ranks?.get(module) ?? spec.r;
  const alpha = spec.alphas?.get(module) ?? spec.alpha;
  if (r % groups !== 0) {
    throw new VersusError('usage', `rank ${r} is not a multiple of the ${groups} groups of ${layer.module}`, {
      next: `choose a rank that ${groups} divides, or leave this convolution out`,
    });
  }
  const a = [r, from, ...kernel];
  const b = [to, r / groups, ...kernel.map(() => 1)];
  const scale = alpha / (spec.rankStabilised ? Math.sqrt(r) : r);
  const parameters = elementCount(a) + elementCount(b);
  return { ...layer, a, b, parameters, scale, names: adapterNames(layer) };
}

/** Names of the two matrices of a layer's adapter. */
export function adapterNames({ module, kind }: Pick<LoraLayer, 'module' | 'kind'>): LoraTarget['names'] {
  return kind === 'embedding'
    ? { a: `${module}.lora_embedding_A`, b: `${module}.lora_embedding_B` }
    : { a: `${module}.lora_A.weight`, b: `${module}.lora_B.weight` };
}

function fitsNothing(
  fit: Fit,
  { layers, others }: LoraLayers,
  { model, within }: { readonly model: string; readonly within?: ReadonlySet<string> },
): VersusError {
  const target = `LoRA target '${fit.label}'`;
  const outside = layers.filter(fit.test).length;
  if (outside > 0) {
    return new VersusError(
      'usage',
      `${target} fits ${outside} modules of ${model}, none of them in the scope`,
      {
        next: 'choose another scope, or targets inside it',
      },
    );
  }
  const other = [...others].find(([module]) => fit.named(module));
  if (other) {
    return new VersusError(
      'usage',
      `${target} fits ${other[0]}, which is no layer that LoRA can wrap (${other[1]})`,
      {
        next: 'LoRA wraps linear layers, convolutions and embeddings',
      },
    );
  }
  const names = [
    ...new Set(
      layers.filter(({ tensor }) => within?.has(tensor) ?? true).map(({ module }) => lastName(module)),
    ),
  ];
  const near = nearest(fit.label, names);
  const some = `${names.slice(0, 12).join(', ')}${names.length > 12 ? ' …' : ''}`;
  const meant = near.length > 0 ? `did you mean ${near.map((n) => `'${n}'`).join(' or ')}? ` : '';
  return new VersusError('usage', `${target} fits no module of ${model}`, {
    next: `${meant}${names.length > 0 ? `modules that LoRA can wrap: ${some}` : 'it has no layer that LoRA can wrap'}`,
  });
}

/** `q_proj`; of an item in a list with the list's name, `mlp.0`. */
const lastName = (module: string): string => /[^.]+(\.\d+)?$/.exec(module)?.[0] ?? module;
