import { z } from 'zod';
import { oneLine, VersusError } from '../core/errors.ts';
import type { LoraSpec, LoraTarget } from '../transform/lora-targets.ts';

/** What PEFT calls the task of a model (`TaskType`). */
const TASKS = [
  'SEQ_CLS',
  'SEQ_2_SEQ_LM',
  'CAUSAL_LM',
  'TOKEN_CLS',
  'QUESTION_ANS',
  'FEATURE_EXTRACTION',
] as const;

/** What a configuration says for people and for PEFT; nothing here reads it. */
export interface AboutAdapter {
  /** Name of the model on the hub. */
  readonly baseModel?: string;
  readonly task?: (typeof TASKS)[number];
}

/** No layer is as wide, so no rank is of use. */
const LARGEST_RANK = 1 << 20;

/**
 * The text of an `adapter_config.json` as PEFT writes it: the fields of its documentation (`developer_guides/checkpoint`) in
 * alphabetical order. Versions before 0.14 refuse fields that they don't know, so later ones stand there only where they say
 * something.
 */
export function configText(
  {
    targets,
    spec,
    whole,
  }: { readonly targets: readonly LoraTarget[]; readonly spec: LoraSpec; readonly whole: boolean },
  { baseModel, task }: AboutAdapter,
): string {
  const named = whole && Array.isArray(spec.targets) ? spec.targets : targets.map((t) => t.module);
  const tied = targets.some((t) => t.kind === 'embedding' && t.output) && spec.tied !== false;
  const config = {
    alpha_pattern: Object.fromEntries(spec.alphas ?? []),
    auto_mapping: null,
    base_model_name_or_path: baseModel ?? null,
    bias: 'none',
    ...(tied && { ensure_weight_tying: true }),
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: spec.alpha,
    lora_dropout: spec.dropout ?? 0,
    megatron_config: null,
    megatron_core: 'megatron.core',
    modules_to_save: null,
    peft_type: 'LORA',
    r: spec.r,
    rank_pattern: Object.fromEntries(spec.ranks ?? []),
    revision: null,
    target_modules: [...named].sort(),
    task_type: task ?? null,
    use_dora: false,
    use_rslora: spec.rankStabilised ?? false,
  };
  return JSON.stringify(config, null, 2);
}

const rank = z.number().int().min(1).max(LARGEST_RANK);
const alpha = z.number().finite();
const patterns = <T extends z.ZodType>(value: T) => z.record(z.string().max(1000), value).nullish();

/** What is read of one; PEFT's defaults stand in for what is missing. Names of files and modules are never followed. */
const Config = z.object({
  peft_type: z.string(),
  r: rank.default(8),
  lora_alpha: alpha.default(8),
  lora_dropout: z.number().min(0).lt(1).nullish(),
  use_rslora: z.boolean().nullish(),
  ensure_weight_tying: z.boolean().nullish(),
  rank_pattern: patterns(rank),
  alpha_pattern: patterns(alpha),
  base_model_name_or_path: z.string().nullish(),
  bias: z.string().nullish(),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
});

/** Settings of PEFT with which an adapter is more, or another thing, than two matrices beside a layer. */
const OTHERWISE = [
  ...['use_dora', 'use_qalora', 'lora_bias', 'modules_to_save', 'target_parameters', 'use_bdlora'],
  ...['trainable_token_indices', 'alora_invocation_tokens', 'layer_replication', 'megatron_config'],
  ...['arrow_config', 'kasa_config', 'velora_config', 'monteclora_config'],
];
/** Ways to start from that leave the base weights as they are. */
const PLAIN_STARTS: readonly unknown[] = [undefined, null, true, false, 'gaussian', 'eva', 'orthogonal'];

/** A checked configuration. */
export interface AdapterConfig {
  readonly r: number;
  readonly alpha: number;
  readonly dropout: number;
  readonly rankStabilised: boolean;
  readonly tied: boolean;
  /** On one line; a name to show, not a place to look. */
  readonly baseModel?: string;
  /** Rank and alpha of a module, by the name that the file's own tensors give it. */
  readonly rankOf: (module: string) => number;
  readonly alphaOf: (module: string) => number;
}

/**
 * Checks what an `adapter_config.json` says.
 * @throws VersusError `input` for fields that are not what they should be, `unsupported` for adapters of another kind
 */
export function readConfig(json: unknown, path: string): AdapterConfig {
  const parsed = Config.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue!.path.map(String).join('.');
    throw new VersusError(
      'input',
      oneLine(`not a valid adapter configuration: ${field || 'it'}: ${issue!.message}`),
      {
        where: path,
      },
    );
  }
  const config = parsed.data;
  const other = (what: string, next?: string): VersusError =>
    new VersusError('unsupported', oneLine(`the adapter ${what}`), { where: path, ...(next && { next }) });
  if (config.peft_type !== 'LORA') throw other(`is of type ${config.peft_type}: only LORA can be loaded`);
  if ((config.bias ?? 'none') !== 'none')
    throw other(`trains biases (bias: ${config.bias})`, "train it with bias='none'");
  const set = OTHERWISE.find((key) => !isEmpty((json as Record<string, unknown>)[key]));
  if (set) throw other(`uses ${set}, which is more than LoRA`);
  if (!PLAIN_STARTS.includes(config.init_lora_weights)) {
    throw other(
      `started from '${config.init_lora_weights}', which changes the base weights`,
      'save it with path_initial_model_for_weight_conversion, which makes a plain LoRA of it',
    );
  }
  const { base_model_name_or_path: baseModel } = config;
  return {
    r: config.r,
    alpha: config.lora_alpha,
    dropout: config.lora_dropout ?? 0,
    rankStabilised: config.use_rslora ?? false,
    tied: config.ensure_weight_tying ?? false,
    ...(baseModel && { baseModel: oneLine(baseModel) }),
    rankOf: byPattern(config.rank_pattern ?? {}, config.r, path),
    alphaOf: byPattern(config.alpha_pattern ?? {}, config.lora_alpha, path),
  };
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === false || value === '';
}

/**
 * PEFT takes the first pattern P for which `(.*\.)?(P)$` fits a module. Patterns are expressions there; from a file of somebody
 * else's only names are taken, for an expression can be made that never ends.
 */
function byPattern(
  given: Readonly<Record<string, number>>,
  otherwise: number,
  path: string,
): (module: string) => number {
  const rules = Object.entries(given).map(([pattern, value]) => {
    const [, start, name] = /^(\^?)((?:[\w.-]|\\\.)+)\$?$/.exec(pattern) ?? [];
    if (name === undefined) {
      throw new VersusError(
        'unsupported',
        oneLine(`the pattern ${JSON.stringify(pattern)} is not a module's name`),
        {
          where: path,
          next: 'write the names of modules in rank_pattern and alpha_pattern',
        },
      );
    }
    return { whole: start === '^', name: name.replaceAll('\\.', '.'), value };
  });
  return (module) =>
    rules.find(({ whole, name }) => module === name || (!whole && module.endsWith(`.${name}`)))?.value ??
    otherwise;
}
