import { VersusError } from '../../core/errors.ts';
import { exportedNames, type VariantChoice } from '../onnx-layout.ts';
import type { HubFile } from './listing.ts';

/** What describes a model beside its weights; whatever of it a repository has is brought. */
const BESIDE = [
  'config.json',
  'generation_config.json',
  'preprocessor_config.json',
  'processor_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
];

/** In which form a model's weights are wanted. */
export type Wanted =
  | { readonly format: 'safetensors' }
  | { readonly format: 'onnx'; readonly variant: VariantChoice };

/** The files that say what a model is. */
export function filesBeside(listing: readonly HubFile[]): HubFile[] {
  return listing.filter((file) => BESIDE.includes(file.path));
}

/**
 * The files that hold a model's weights. A repository without `model.safetensors` has an index; then its shards are those
 * that stand beside it under the index's usual names, and the loader checks that they are all there.
 * @throws VersusError `input` when a repository has the weights in no such form
 */
export function filesOfWeights(id: string, listing: readonly HubFile[], wanted: Wanted): HubFile[] {
  const found = wanted.format === 'onnx' ? onnxFiles(listing, wanted.variant) : checkpointFiles(listing);
  if (found.length > 0) return found;
  const have = listing.map((file) => file.path).filter((path) => /\.(safetensors|onnx)$/.test(path));
  const what = wanted.format === 'onnx' ? 'ONNX files of that variant' : 'weights in safetensors format';
  throw new VersusError('input', `${id} has no ${what}`, {
    where: `hub(${id})`,
    next:
      have.length === 0
        ? 'look for another revision (refs/pr/…) or repository that has them'
        : `it has ${have.slice(0, 12).join(', ')}${have.length > 12 ? ` and ${have.length - 12} more` : ''}`,
  });
}

function checkpointFiles(listing: readonly HubFile[]): HubFile[] {
  const named = (path: string): HubFile[] => listing.filter((file) => file.path === path);
  const single = named('model.safetensors');
  if (single.length > 0) return single;
  const index = named('model.safetensors.index.json');
  if (index.length > 0) {
    const shards = listing.filter((file) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(file.path));
    return [...index, ...shards];
  }
  const only = listing.filter((file) => /^[^/]+\.safetensors$/.test(file.path));
  return only.length === 1 ? only : [];
}

/** Each file of the variant, with the data that lie beside it (`model.onnx_data`, `model.onnx_data_1` …). */
function onnxFiles(listing: readonly HubFile[], variant: VariantChoice): HubFile[] {
  const names = new Set(exportedNames(variant));
  return listing.filter(({ path }) => {
    const name = /^onnx\/(.+?\.onnx)(_data(_\d+)?|\.data)?$/.exec(path)?.[1];
    return name !== undefined && names.has(name);
  });
}
