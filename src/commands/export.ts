import { constants, existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { PRECISIONS, type Precision } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Artifact, ModelDef } from '../core/model.ts';
import { requireNames } from '../core/names.ts';
import { openOnnx } from '../graph/onnx/index.ts';
import { loadAdapter } from '../training/adapter.ts';
import { merged } from '../training/merge.ts';
import { loraTargets } from '../transform/lora-targets.ts';
import { prepareArtifacts, requireSpace, seeded } from '../weights/index.ts';
import { type CommonOptions, cacheDir, lookingContextOf, print, printJson } from './context.ts';
import { findModel } from './select.ts';
import { weightsOption } from './weights-option.ts';

interface ExportOptions extends CommonOptions {
  readonly out: string;
  readonly precision: string;
  readonly weights?: string;
  readonly adapter?: string;
}

/** `versus export MODEL --out DIR`: one .onnx per graph and weights.safetensors, which they share as external data. */
export async function exportCommand(name: string, options: ExportOptions): Promise<number> {
  const loaded = await lookingContextOf(options);
  requireNames('precision', [options.precision], PRECISIONS);
  const out = resolve(options.out);
  if (existsSync(out) && readdirSync(out).length > 0) {
    throw new VersusError('usage', `${out} is not empty`, { next: 'name a new folder with --out' });
  }
  const found = await findModel(loaded.config, name);
  const base = options.weights === undefined ? found : { ...found, weights: weightsOption(options.weights) };
  const model = options.adapter === undefined ? base : await withAdapter(base, options.adapter);
  const artifacts = await prepareArtifacts(model, {
    cacheDir: cacheDir(loaded),
    maxBytes: loaded.config.cache.maxBytes,
    precision: options.precision as Precision,
    progress: progressLine(),
  });
  await mkdir(out, { recursive: true });
  const copies = new Map<string, string>();
  for (const artifact of Object.values(artifacts)) {
    for (const file of await filesOf(artifact)) {
      copies.set(join(out, relative(dirname(realpathSync(artifact.path)), file)), file);
    }
  }
  const bytes = [...copies.values()].reduce((sum, file) => sum + statSync(file).size, 0);
  await requireSpace(out, bytes, 'name a folder on a larger disk with --out');
  for (const [target, file] of copies) {
    // On file systems that can, both share their blocks.
    await cp(file, target, { mode: constants.COPYFILE_FICLONE });
  }
  if (options.json) printJson({ model: model.name, out, files: [...copies.keys()] });
  else for (const file of copies.keys()) print(file);
  return 0;
}

/** The model with an adapter merged into its weights. @throws VersusError as `loadAdapter` and `merged` */
async function withAdapter(model: ModelDef, folder: string): Promise<ModelDef> {
  const graphs = Object.values(await model.build(model.config));
  const { spec, tensors } = await loadAdapter(folder, graphs, { model: model.name });
  const targets = loraTargets(graphs, spec, { model: model.name });
  const tied = spec.tied ?? true;
  return { ...model, weights: merged(model.weights ?? seeded(), { targets, tied }, tensors) };
}

/** An artifact of ours has its folder to itself; a user's own file shares it with anything. */
async function filesOf(artifact: Artifact): Promise<readonly string[]> {
  if (artifact.foreign) {
    const { files, weights } = await openOnnx(artifact.path);
    await weights.close();
    return files;
  }
  const dir = dirname(realpathSync(artifact.path));
  return readdirSync(dir)
    .filter((file) => /\.(onnx|safetensors)$/.test(file))
    .map((file) => join(dir, file));
}

/** Long conversions and downloads show that they go on; a file or a pipe gets none of it. */
function progressLine(): (what: string, done?: number, total?: number) => void {
  if (!process.stderr.isTTY) return () => {};
  return (what, done, total) => {
    const share = done !== undefined && total ? ` ${Math.floor((100 * done) / total)}%` : '';
    process.stderr.write(`\r\u001b[K${what}${share}`);
    if (done !== undefined && done === total) process.stderr.write('\r\u001b[K');
  };
}
