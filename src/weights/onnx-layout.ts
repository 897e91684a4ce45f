import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { VersusError } from '../core/errors.ts';
import { contained } from './contained.ts';

/**
 * Ends of file names by the type of the weights, with the names that transformers.js gives them
 * (`DEFAULT_DTYPE_SUFFIX_MAPPING` of its src/utils/dtypes.js).
 */
const SUFFIXES = {
  fp32: '',
  fp16: '_fp16',
  q8: '_quantized',
  int8: '_int8',
  uint8: '_uint8',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
} as const;
export type OnnxVariant = keyof typeof SUFFIXES;
export const ONNX_VARIANTS = Object.keys(SUFFIXES) as OnnxVariant[];

/** What a variant is asked by: one for all graphs, or by graph name (`fp32` for those left out). */
export type VariantChoice = OnnxVariant | Readonly<Record<string, OnnxVariant>>;

/**
 * File names (without suffix) of the exporters for the hub by our graph names, the most telling first: optimum and
 * transformers.js; `prepare_inputs_embeds` and `model` are Phi-3-vision's.
 */
const EXPORTED: Readonly<Record<string, readonly string[]>> = {
  vision: ['vision_encoder', 'vision_model'],
  text: ['text_model'],
  embed: ['embed_tokens', 'prepare_inputs_embeds'],
  encoder: ['encoder_model'],
  decoder: ['decoder_model_merged', 'model'],
  model: ['model', 'decoder_model_merged'],
};
/** Graphs of ours that exporters have no file for and no workload runs: CLIP's product of embeddings. */
const NEVER_EXPORTED: readonly string[] = ['similarity'];

/** Every file name that a graph may have in a variant, for listings that are to be chosen from. */
export function exportedNames(variant: VariantChoice): string[] {
  return Object.keys(EXPORTED).flatMap((graph) =>
    EXPORTED[graph]!.map((base) => `${base}${SUFFIXES[variantOf(variant, graph)]}.onnx`),
  );
}

export function variantOf(choice: VariantChoice, graph: string): OnnxVariant {
  return typeof choice === 'string' ? choice : (choice[graph] ?? 'fp32');
}

/** @throws VersusError `usage` for a variant that nobody exports */
export function checkVariant(choice: VariantChoice): void {
  for (const variant of typeof choice === 'string' ? [choice] : Object.values(choice)) {
    if (Object.hasOwn(SUFFIXES, variant)) continue;
    throw new VersusError('usage', `there is no variant ${JSON.stringify(variant)} of ONNX files`, {
      where: 'onnx(folder, { variant })',
      next: `use one of ${ONNX_VARIANTS.join(', ')}`,
    });
  }
}

/** A folder's `.onnx` files: in `onnx/`, where the hub has them, else in the folder itself. */
async function listOnnx(folder: string): Promise<{ dir: string; names: ReadonlySet<string> }> {
  for (const dir of [join(folder, 'onnx'), folder]) {
    const names = (await readdir(dir).catch(() => [])).filter((name) => name.endsWith('.onnx'));
    if (names.length > 0) return { dir, names: new Set(names) };
  }
  throw new VersusError('input', 'the folder holds no ONNX files', {
    where: folder,
    next: 'name a folder with onnx/model.onnx, or with the parts that exporters for the hub write',
  });
}

/**
 * The files of the wanted graphs in a folder of the Hugging Face layout.
 * @returns absolute or relative path by graph name, as `folder` is
 * @throws VersusError `input` naming the files that are missing and the ones that are there
 */
export async function filesOfGraphs(
  folder: string,
  wanted: readonly string[],
  choice: VariantChoice,
): Promise<Record<string, string>> {
  const { dir, names } = await listOnnx(folder);
  const files: Record<string, string> = {};
  const missing: string[] = [];
  for (const graph of wanted) {
    const suffix = SUFFIXES[variantOf(choice, graph)];
    const candidates = (EXPORTED[graph] ?? [graph]).map((base) => `${base}${suffix}.onnx`);
    const found = candidates.find((name) => names.has(name));
    if (found !== undefined) files[graph] = await contained(folder, relative(folder, join(dir, found)));
    else if (!NEVER_EXPORTED.includes(graph)) missing.push(`${graph} (${candidates.join(' or ')})`);
  }
  if (missing.length === 0) return files;
  throw new VersusError('input', `the folder lacks the ONNX file of ${missing.join(', ')}`, {
    where: dir,
    next: `it holds ${listed([...names].sort())}; another type of weights is chosen by { variant: '…' }`,
  });
}

/** Our names of the graphs that a folder holds in a variant; how its parts are named says what kind of model it is. */
export async function graphsInFolder(folder: string, choice: VariantChoice): Promise<string[]> {
  const { dir, names } = await listOnnx(folder);
  const has = (graph: string): boolean =>
    EXPORTED[graph]!.some((base) => names.has(`${base}${SUFFIXES[variantOf(choice, graph)]}.onnx`));
  if (has('vision') && has('embed')) {
    return ['vision', 'embed', ...(has('encoder') ? ['encoder'] : []), 'decoder'];
  }
  if (has('vision') && has('text')) return ['vision', 'text'];
  if (has('model')) return ['model'];
  throw new VersusError('input', `none of the folder's ONNX files is a whole model`, {
    where: dir,
    next: `it holds ${listed([...names].sort())}; another type of weights is chosen by { variant: '…' }`,
  });
}

function listed(names: readonly string[]): string {
  return names.length > 12
    ? `${names.slice(0, 12).join(', ')} and ${names.length - 12} more`
    : names.join(', ');
}
