/** Weights from the Hugging Face hub. Nothing is asked or downloaded unless a config says `hub(…)`. */
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VersusError } from '../../core/errors.ts';
import type { WeightOptions, WeightSpec } from '../../core/model.ts';
import { type CheckpointOptions, openCheckpoint } from '../checkpoint.ts';
import { refuseAsNumbers } from '../onnx-folder.ts';
import { checkVariant, filesOfGraphs, type VariantChoice } from '../onnx-layout.ts';
import { type ClientOptions, HubClient } from './client.ts';
import { checkNames } from './names.ts';
import { type Snapshot, snapshotOf } from './snapshot.ts';
import type { Wanted } from './wanted.ts';

export interface HubOptions extends CheckpointOptions, ClientOptions {
  /** `safetensors` when left out: a checkpoint, run through our graphs. `onnx`: exported files, run as they are. */
  readonly format?: 'safetensors' | 'onnx';
  /** Of ONNX files, see `onnx()`. */
  readonly variant?: VariantChoice;
}

/**
 * A model's weights from the Hugging Face hub, downloaded into the cache when they are first needed: resumed where a
 * download was cut off, checked by size and SHA-256, never executed. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE hold.
 * @param revision a commit, which never changes, or a branch or tag; the label names the commit that it was
 * @throws VersusError `usage` for an impossible id or revision; when it is used, as `snapshotOf` and `safetensors()`
 */
export function hub(id: string, revision: string, options: HubOptions = {}): WeightSpec {
  checkNames(id, revision);
  const { format = 'safetensors', variant = 'fp32' } = options;
  checkVariant(variant);
  const wanted: Wanted = format === 'onnx' ? { format, variant } : { format };
  const label = `hub(${id}@${revision})`;
  const get = (use: WeightOptions): Promise<Snapshot> =>
    snapshotOf(new HubClient(options), id, revision, wanted, { ...use, cacheDir: needed(use, label) });
  if (format === 'onnx') {
    return {
      label,
      graphs: async (names, use = {}) => {
        const { folder, commit } = await get(use);
        return { label: labelAt(id, commit), files: await filesOfGraphs(folder, names, variant) };
      },
      open: () => refuseAsNumbers(label),
    };
  }
  return {
    label,
    open: async (params, use = {}) => {
      const { folder, commit, weights } = await get(use);
      const hashes = weights.map((file) => `${file.path} ${file.hash}\n`).sort();
      const content = createHash('sha256').update(hashes.join('')).digest('hex');
      return openCheckpoint(folder, params, options, {
        label: labelAt(id, commit),
        id: `hub:${id}@${commit}:${content}`,
      });
    },
  };
}

/**
 * The folder of a model from the hub, for `pretrained(folder)`.
 * @param cacheDir where downloads are kept: `<cacheDir>/hub`
 */
export async function hubFolder(
  id: string,
  revision: string,
  { cacheDir, progress, ...options }: HubOptions & WeightOptions & { readonly cacheDir: string },
): Promise<string> {
  checkNames(id, revision);
  const { format = 'safetensors', variant = 'fp32' } = options;
  checkVariant(variant);
  const wanted: Wanted = format === 'onnx' ? { format, variant } : { format };
  const use = { cacheDir, ...(progress && { progress }) };
  return (await snapshotOf(new HubClient(options), id, revision, wanted, use)).folder;
}

const labelAt = (id: string, commit: string): string => `hub(${id}@${commit.slice(0, 12)})`;

function needed({ cacheDir }: WeightOptions, where: string): string {
  if (cacheDir !== undefined) return cacheDir;
  throw new VersusError('usage', 'downloads need a cache folder', {
    where,
    next: `open the weights with { cacheDir: '${join(tmpdir(), 'versus')}' }`,
  });
}
