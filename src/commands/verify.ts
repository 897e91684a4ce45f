import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { LoadedConfig } from '../config.ts';
import { type Backend, PRECISIONS, type Precision } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import { unknownName } from '../core/names.ts';
import type { Bisection } from '../verify/bisect.ts';
import { verifyFolder } from '../verify/index.ts';
import { verifyModel } from '../verify/model.ts';
import { bisectFolder, bisectModel } from '../verify/where.ts';
import { type CommonOptions, cacheDir, lookingContextOf, print, printJson, say } from './context.ts';
import { dimensionSizes, wholeNumber } from './numbers.ts';
import { findBackend, findModel, requireAvailable } from './select.ts';
import { bisectionLines, folderLines, modelLines } from './verify-lines.ts';
import { weightsOption } from './weights-option.ts';

interface VerifyOptions extends CommonOptions {
  readonly backend?: readonly string[];
  readonly against?: string;
  readonly bisect?: boolean;
  readonly batch: string;
  readonly dim?: readonly string[];
  readonly precision: string;
  readonly seed: string;
  readonly tolerance?: string;
  readonly weights?: string;
  readonly quiet?: boolean;
}

/** Of recorded outputs, which were computed by another implementation in float32. */
const RECORDED_TOLERANCE = 1e-4;

/**
 * `versus verify DIR|MODEL`: exit code 0 when every output of every backend is equal, else 3.
 *
 * - DIR: the model in it against the outputs recorded in its io.safetensors. `--json` of one backend:
 *   `{ dir, family, backend, tolerance, agrees, outputs, bisections? }`; of several: `{ agrees, results: [the same] }`.
 * - MODEL: every graph on seeded inputs against a reference backend with optimisation disabled. `--json`: `{ model, family,
 *   reference, reference_precision, precision, seed, tolerance, agrees, dims, backends: [{ backend, agrees, graphs:
 *   [{ graph, agrees, outputs, failure }] }], bisections? }`.
 *
 * With `--bisect`, `bisections` has an entry per graph of every backend that differs (see `Bisection`).
 */
export async function verifyCommand(argument: string | undefined, given: VerifyOptions): Promise<number> {
  const { what, options } = subjectOf(argument, given);
  const folder = existsSync(what) && statSync(what).isDirectory();
  if (!folder && /[/\\]|\.onnx$/.test(what) && !existsSync(what)) {
    throw new VersusError('usage', `there is nothing at ${resolve(what)}`, {
      next: 'name a folder with io.safetensors, an .onnx file, or a model',
    });
  }
  const loaded = await lookingContextOf(options);
  const named = (options.backend ?? ['onnxruntime-cpu']).map((name) => findBackend(loaded.config, name));
  const reference = findBackend(loaded.config, options.against ?? loaded.config.parity.reference);
  await requireAvailable(reference);
  if (named.length === 1 || folder) for (const backend of named) await requireAvailable(backend);
  return folder
    ? verifyRecorded(what, named, reference, loaded, options)
    : verifySeeded(what, await Promise.all(named.map(whereAvailable)), reference, loaded, options);
}

/** `--backend NAME WHAT`: an option that takes several names has taken what is to be verified for one of them. */
function subjectOf(
  what: string | undefined,
  options: VerifyOptions,
): { readonly what: string; readonly options: VerifyOptions } {
  if (what !== undefined) return { what, options };
  const { backend = [] } = options;
  if (backend.length < 2) {
    throw new VersusError('usage', 'what is to be verified?', {
      next: 'name a folder with io.safetensors, an .onnx file, or a model',
    });
  }
  return { what: backend.at(-1)!, options: { ...options, backend: backend.slice(0, -1) } };
}

async function verifyRecorded(
  dir: string,
  backends: readonly Backend[],
  reference: Backend,
  loaded: LoadedConfig,
  options: VerifyOptions,
): Promise<number> {
  const tolerance = toleranceOf(options.tolerance) ?? RECORDED_TOLERANCE;
  const common = { cacheDir: cacheDir(loaded), maxBytes: loaded.config.cache.maxBytes, tolerance };
  const results = [];
  for (const backend of backends) {
    const result = await verifyFolder(dir, backend, common);
    const bisections =
      options.bisect && !result.agrees
        ? await bisectFolder(dir, backend, reference, {
            ...common,
            precision: 'fp32',
            progress: progressOf(options),
          })
        : null;
    results.push({ ...result, ...(bisections && { bisections }) });
  }
  const agrees = results.every((r) => r.agrees);
  if (options.json) printJson(results.length === 1 ? results[0] : { agrees, results });
  else {
    for (const { bisections, ...result } of results) {
      print(folderLines(result).join('\n'));
      if (bisections) print(bisectionLines(bisections).join('\n'));
    }
  }
  return agrees ? 0 : 3;
}

async function verifySeeded(
  name: string,
  backends: readonly Backend[],
  reference: Backend,
  loaded: LoadedConfig,
  options: VerifyOptions,
): Promise<number> {
  const precision = precisionOf(options.precision);
  const { config } = loaded;
  const settings = {
    ...{ cacheDir: cacheDir(loaded), maxBytes: config.cache.maxBytes, precision },
    tolerance: toleranceOf(options.tolerance) ?? config.parity.tolerance[precision],
    seed: wholeNumber('--seed', options.seed, 0),
    batch: wholeNumber('--batch', options.batch),
    dims: dimensionSizes(options.dim ?? []),
    progress: progressOf(options),
  };
  const found = await findModel(config, name);
  const model = options.weights === undefined ? found : { ...found, weights: weightsOption(options.weights) };
  const verdict = await verifyModel(model, backends, reference, settings);
  const bisections: Bisection[] = [];
  for (const backend of options.bisect ? backends : []) {
    const judged = verdict.backends.find((b) => b.backend === backend.name);
    if (judged?.agrees || judged?.graphs.some((g) => g.failure)) continue;
    bisections.push(...(await bisectModel(model, backend, reference, settings)));
  }
  if (options.json) printJson({ ...verdict, ...(options.bisect && { bisections }) });
  else print([...modelLines(verdict), ...bisectionLines(bisections)].join('\n'));
  return verdict.agrees ? 0 : 3;
}

/** One of several that cannot run here is a line of the table, not the end of the command. */
async function whereAvailable(backend: Backend): Promise<Backend> {
  const absent = await requireAvailable(backend).then(
    () => null,
    (error: unknown) => error,
  );
  return absent === null ? backend : { ...backend, open: () => Promise.reject(absent) };
}

function progressOf({ json, quiet }: VerifyOptions): (what: string) => void {
  return json || quiet || !process.stderr.isTTY ? () => {} : (what) => say(`  ${what}`);
}

function precisionOf(text: string): Precision {
  const found = PRECISIONS.find((p) => p === text);
  if (found) return found;
  throw unknownName('precision', text, PRECISIONS);
}

function toleranceOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (value > 0 && value < 1) return value;
  throw new VersusError('usage', `--tolerance: expected a number between 0 and 1, got '${text}'`);
}
