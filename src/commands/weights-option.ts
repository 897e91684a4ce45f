import { VersusError } from '../core/errors.ts';
import type { WeightSpec } from '../core/model.ts';
import { hub, safetensors } from '../weights/index.ts';

/**
 * `--weights`: a checkpoint by path (a .safetensors file, an index, a folder; `safetensors:` before it is optional), or
 * `hub:owner/name@revision`, which downloads.
 * @throws VersusError `usage` for anything else
 */
export function weightsOption(text: string): WeightSpec {
  const [, kind, rest] = /^(safetensors|hub):(.+)$/.exec(text) ?? [null, 'safetensors', text];
  if (kind === 'hub') {
    const [, id, revision] = /^([^@]+)@(.+)$/.exec(rest!) ?? [];
    if (id !== undefined && revision !== undefined) return hub(id, revision);
  } else if (rest && !/^[a-z]+:(?![\\/])/.test(rest)) return safetensors(rest);
  throw new VersusError('usage', `--weights: cannot tell what '${text}' is`, {
    next: 'name a .safetensors file, its index or their folder; or hub:owner/name@revision',
  });
}
