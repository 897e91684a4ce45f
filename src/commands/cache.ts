import { unknownName } from '../core/names.ts';
import { cacheStatus, cleanCache } from '../weights/index.ts';
import { type CommonOptions, cacheDir, contextOf, print, printJson } from './context.ts';

/** `versus cache [clean] [--json]`. */
export async function cacheCommand(what: string | undefined, options: CommonOptions): Promise<number> {
  if (what !== undefined && what !== 'clean') throw unknownName('cache action', what, ['clean']);
  const loaded = await contextOf(options);
  const dir = cacheDir(loaded);
  if (what === 'clean') await cleanCache(dir);
  const status = await cacheStatus(dir);
  if (options.json) printJson({ dir, ...status });
  else
    print(
      `${dir}: ${status.entries} models, ${(status.bytes / 1e9).toFixed(2)} GB of at most ${(loaded.config.cache.maxBytes / 1e9).toFixed(0)} GB` +
        (status.downloads > 0 ? `; downloads from the hub, ${(status.downloads / 1e9).toFixed(2)} GB` : ''),
    );
  return 0;
}
