import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { cropGrid } from '../data/crops.ts';
import { smartResize } from '../data/patches.ts';
import { resized } from '../estimate/resize.ts';
import { wholeNumber } from './numbers.ts';

/**
 * A model for images of the size that `--resolution` names, `N` or `HEIGHTxWIDTH`: by its hyperparameter, or where it takes
 * images of any size by what its processor makes of such an image.
 * @throws VersusError `usage` for another text, or a model without images
 */
export function atResolution(model: ModelDef, text: string): ModelDef {
  const match = /^(\d+)(?:x(\d+))?$/.exec(text);
  if (!match) throw new VersusError('usage', `--resolution: expected N or HEIGHTxWIDTH, got '${text}'`);
  const height = wholeNumber('--resolution', match[1]!);
  const width = match[2] === undefined ? height : wholeNumber('--resolution', match[2]);
  const { tiling } = model;
  if (!tiling) return resized(model, [height, width]);
  if (tiling.kind === 'crops') {
    const { rows, columns } = cropGrid(tiling, { height, width });
    return { ...model, dims: { ...model.dims, rows, columns } };
  }
  const size = smartResize({ height, width }, tiling);
  const tokens = (size.height * size.width) / (tiling.patch * tiling.merge) ** 2;
  return { ...model, dims: { ...model.dims, tokens } };
}
