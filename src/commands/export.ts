import { existsSync, readdirSync, statSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { PRECISIONS, type Precision } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import { requireNames } from '../core/names.ts';
import { prepareArtifacts, requireSpace } from '../weights/index.ts';
import { type CommonOptions, cacheDir, lookingContextOf, print, printJson } from './context.ts';
import { findModel } from './select.ts';

interface ExportOptions extends CommonOptions {
  readonly out: string;
  readonly precision: string;
}

/** `versus export MODEL --out DIR`: one .onnx per graph and weights.safetensors, which they share as external data. */
export async function exportCommand(name: string, options: ExportOptions): Promise<number> {
  const loaded = await lookingContextOf(options);
  requireNames('precision', [options.precision], PRECISIONS);
  const out = resolve(options.out);
  if (existsSync(out) && readdirSync(out).length > 0) {
    throw new VersusError('usage', `${out} is not empty`, { next: 'name a new folder with --out' });
  }
  const model = await findModel(loaded.config, name);
  const artifacts = await prepareArtifacts(model, {
    cacheDir: cacheDir(loaded),
    maxBytes: loaded.config.cache.maxBytes,
    precision: options.precision as Precision,
  });
  await mkdir(out, { recursive: true });
  const files = new Set<string>();
  for (const artifact of Object.values(artifacts)) {
    const dir = dirname(artifact.path);
    for (const file of readdirSync(dir))
      if (/\.(onnx|safetensors|data|bin)$/.test(file)) files.add(join(dir, file));
  }
  const bytes = [...files].reduce((sum, file) => sum + statSync(file).size, 0);
  await requireSpace(out, bytes, 'name a folder on a larger disk with --out');
  const written: string[] = [];
  for (const file of files) {
    const target = join(out, file.slice(dirname(file).length + 1));
    await cp(file, target);
    written.push(target);
  }
  if (options.json) printJson({ model: model.name, out, files: written });
  else for (const file of written) print(file);
  return 0;
}
