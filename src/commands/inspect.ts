import pc from 'picocolors';
import { lookAsJson } from '../inspect/json.ts';
import { look } from '../inspect/look.ts';
import { reportLines } from '../inspect/report.ts';
import { type CommonOptions, lookingContextOf, print, printJson } from './context.ts';
import { loraOption } from './lora-option.ts';
import { dimensionSizes, wholeNumber } from './numbers.ts';
import { findModel } from './select.ts';

interface InspectOptions extends CommonOptions {
  readonly batch: string;
  readonly dim?: readonly string[];
  readonly depth: string;
  readonly scope?: string;
  readonly lora?: string;
}

/**
 * `versus inspect MODEL [--json]`: `{ name, family, task, parameters, buffers, published, macs, weight_bytes, dims, config,
 * children, tree, parts, scopes, scope, lora, graphs }`.
 *
 * - `parameters`: learnt elements, a shared tensor once; `buffers`: elements that are stored and not learnt; `weight_bytes`:
 *   bytes of both as stored. `macs`: sum over the graphs at `dims` (1 where nothing is said), null where unknown.
 * - `children`: names of the immediate children. `tree`: `{ name, path, layer, part, parameters, buffers, share, trainable?,
 *   adapter?, tensors: [{ name, tensor, dtype, shape, role, graphs, read_as }], children: [tree] }`, never folded; `layer`
 *   is what the module computes, `part` what it lies in wholly (null: none), `trainable` is there with `--scope`, `adapter`
 *   with `--lora`; `tensor` is the name in the graphs, `read_as` empty for a tensor that nothing reads.
 * - `parts`: `[{ part, parameters, share, modules }]`, `rest` last; empty for a model that is one whole.
 * - `scopes`: names that `--scope` takes here. `scope`: null or `{ name, trainable, frozen, share, unread }`.
 * - `lora`: null or `{ r, alpha, targets, trainable, all, share, bytes: { float32, float16 }, modules: [{ module, tensor,
 *   kind, a, b, parameters, unread }] }`; `all` and `share` count the adapter as well, as PEFT does.
 * - `graphs`: `{ <name>: { inputs, outputs, nodes, operators, parameters, macs, macs_unknown, weight_bytes, opset } }`.
 */
export async function inspectCommand(name: string, options: InspectOptions): Promise<number> {
  const depth = depthOf(options.depth);
  const lora = options.lora === undefined ? undefined : loraOption(options.lora);
  const { config } = await lookingContextOf(options);
  const model = await findModel(config, name);
  const found = look(model, await model.build(model.config as never), {
    dims: {
      ...model.dims,
      batch: wholeNumber('--batch', options.batch),
      ...dimensionSizes(options.dim ?? []),
    },
    ...(options.scope !== undefined && { scope: options.scope }),
    ...(lora && { lora }),
  });
  if (options.json) printJson(lookAsJson(found));
  else print(reportLines(found, { depth, width: widthOf(), paint: pc.createColors(coloured()) }).join('\n'));
  return 0;
}

/** The terminal's width within what can be read; 100 where the output is no terminal. */
function widthOf(): number {
  const columns = process.stdout.isTTY ? process.stdout.columns : Number(process.env.COLUMNS);
  return Math.min(140, Math.max(60, columns || 100));
}

/** Continuous integration counts as a terminal for picocolors; a file doesn't here. */
function coloured(): boolean {
  return pc.isColorSupported && (process.stdout.isTTY === true || Boolean(process.env.FORCE_COLOR));
}

function depthOf(text: string): number {
  return text === 'all' ? Number.POSITIVE_INFINITY : wholeNumber('--depth', text, 0);
}
