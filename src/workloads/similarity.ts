import type { Tensor } from '../core/tensor.ts';
import { float32, toNumbers } from '../core/tensor.ts';

/** Rows scaled to Euclidean length 1, in place; a zero row stays zero. */
function normalise(rows: Float64Array, width: number): void {
  for (let from = 0; from < rows.length; from += width) {
    let sum = 0;
    for (let i = from; i < from + width; i++) sum += rows[i]! ** 2;
    const factor = sum === 0 ? 0 : 1 / Math.sqrt(sum);
    for (let i = from; i < from + width; i++) rows[i] = rows[i]! * factor;
  }
}

/**
 * Class embeddings of a prompt ensemble: prompts' embeddings [classes · templates, width] are normalised, averaged over
 * the templates and normalised again (Radford et al. 2021, section 3.1.4). → float32 [classes, width]
 */
export function ensemble(prompts: Tensor, templates: number): Tensor {
  const width = prompts.shape.at(-1)!;
  const rows = toNumbers(prompts);
  normalise(rows, width);
  const classes = rows.length / width / templates;
  const out = new Float64Array(classes * width);
  for (let c = 0; c < classes; c++) {
    for (let t = 0; t < templates; t++) {
      const from = (c * templates + t) * width;
      for (let i = 0; i < width; i++) out[c * width + i]! += rows[from + i]! / templates;
    }
  }
  normalise(out, width);
  return float32([classes, width], out);
}

/**
 * logits = scale · image · classesᵀ of normalised rows: [batch, width], [classes, width] → float32 [batch, classes].
 * The products are so small beside either encoder that they run here, not on the backend.
 */
export function similarity(images: Tensor, classes: Tensor, scale: number): Tensor {
  const width = classes.shape[1]!;
  const rows = toNumbers(images);
  normalise(rows, width);
  const columns = classes.data as Float32Array;
  const [batch, count] = [rows.length / width, classes.shape[0]!];
  const out = new Float32Array(batch * count);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < count; c++) {
      let dot = 0;
      for (let i = 0; i < width; i++) dot += rows[b * width + i]! * columns[c * width + i]!;
      out[b * count + c] = scale * dot;
    }
  }
  return float32([batch, count], out);
}
