import { resolve } from 'node:path';
import { VersusError } from '../core/errors.ts';
import type { WeightSpec } from '../core/model.ts';
import { checkVariant, filesOfGraphs, graphsInFolder, type VariantChoice } from './onnx-layout.ts';

export interface OnnxOptions {
  /** `fp32` when left out. One for all graphs, or by graph name: `{ embed: 'fp32', decoder: 'q4' }`. */
  readonly variant?: VariantChoice;
}

/**
 * Files that somebody exported in the layout of the Hugging Face hub (`onnx/model.onnx`, `onnx/vision_encoder.onnx`, …),
 * used as they are in place of the graphs that the model builds. The model says which graphs there must be and what goes
 * in and out; a file that doesn't fit is refused by the value that differs.
 * @throws VersusError `usage` for an unknown variant; when it is used, `input` for files that are missing or don't fit
 */
export function onnx(folder: string, options: OnnxOptions = {}): WeightSpec {
  const variant = options.variant ?? 'fp32';
  checkVariant(variant);
  const label = `onnx(${folder}${options.variant ? `, ${labelOf(variant)}` : ''})`;
  return {
    label,
    graphs: async (names) => ({ label, files: await filesOfGraphs(resolve(folder), names, variant) }),
    open: () => refuseAsNumbers(label),
  };
}

/** Graphs by our names that a folder holds. @throws VersusError `input` when there is no whole model in it */
export function onnxGraphs(folder: string, options: OnnxOptions = {}): Promise<string[]> {
  const variant = options.variant ?? 'fp32';
  checkVariant(variant);
  return graphsInFolder(resolve(folder), variant);
}

/** Exporters fold, transpose and rename weights: there is no way back to a graph of ours. */
export function refuseAsNumbers(label: string): Promise<never> {
  return Promise.reject(
    new VersusError('unsupported', 'exported ONNX files are run as they are: they have no weights by name', {
      where: label,
      next: 'give the model a checkpoint in safetensors format for this',
    }),
  );
}

function labelOf(choice: VariantChoice): string {
  if (typeof choice === 'string') return choice;
  return Object.entries(choice)
    .map(([graph, variant]) => `${graph} ${variant}`)
    .join(', ');
}
