import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { markdownTable } from 'markdown-table';
import pc from 'picocolors';
import { VersusError } from '../core/errors.ts';
import { verifyFolder } from '../verify/index.ts';
import { type CommonOptions, cacheDir, lookingContextOf, print, printJson } from './context.ts';
import { findBackend } from './select.ts';

interface VerifyOptions extends CommonOptions {
  readonly backend: string;
  readonly tolerance: string;
}

/** `versus verify DIR`: every expected output of a recorded reference run. Exit code 0 when all agree, else 3. */
export async function verifyCommand(dir: string, options: VerifyOptions): Promise<number> {
  const tolerance = Number(options.tolerance);
  if (!(tolerance > 0 && tolerance < 1)) {
    throw new VersusError(
      'usage',
      `--tolerance: expected a number between 0 and 1, got '${options.tolerance}'`,
    );
  }
  if (!existsSync(dir) || !statSync(dir).isDirectory()) {
    throw new VersusError('usage', `there is no folder ${resolve(dir)}`, {
      next: 'name a folder with io.safetensors, and config.json + weights.safetensors or model.onnx',
    });
  }
  const loaded = await lookingContextOf(options);
  const backend = findBackend(loaded.config, options.backend);
  const availability = await backend.probe();
  if (!availability.available) {
    throw new VersusError('infrastructure', `${backend.name} cannot run here: ${availability.reason}`, {
      ...(availability.fix === null ? {} : { next: availability.fix }),
    });
  }
  const result = await verifyFolder(dir, backend, {
    cacheDir: cacheDir(loaded),
    maxBytes: loaded.config.cache.maxBytes,
    tolerance,
  });
  if (options.json) {
    printJson(result);
    return result.agrees ? 0 : 3;
  }
  const mark = (ok: boolean): string => (ok ? pc.green('equal') : pc.red('differs'));
  print(
    markdownTable([
      ['output', 'verdict', 'max abs', 'relative to scale', 'cosine', 'problem'],
      ...result.outputs.map((o) => [
        o.name,
        mark(o.agrees),
        figure(o.max_abs),
        figure(o.max_rel),
        figure(o.cosine),
        o.problem ?? '',
      ]),
    ]),
  );
  const good = result.outputs.filter((o) => o.agrees).length;
  print(
    `${result.family} on ${result.backend}: ${good} of ${result.outputs.length} outputs equal within ${tolerance}`,
  );
  return result.agrees ? 0 : 3;
}

const figure = (value: number | null): string => (value === null ? '–' : value.toPrecision(3));
