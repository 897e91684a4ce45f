import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reference } from '../../src/backends/reference.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { float32, type Tensor, type Tensors } from '../../src/core/tensor.ts';
import { Sessions } from '../../src/verify/sessions.ts';
import { prepareArtifacts } from '../../src/weights/index.ts';

/** Runs `body` with a model's graphs (seeded weights) open in the reference interpreter. */
export async function withModel<T>(model: ModelDef, body: (sessions: Sessions) => Promise<T>): Promise<T> {
  const cacheDir = mkdtempSync(join(tmpdir(), 'versus-zoo-'));
  try {
    const artifacts = await prepareArtifacts(model, { cacheDir, maxBytes: 1e9, precision: 'fp32' });
    const sessions = new Sessions(reference, artifacts, { precision: 'fp32' });
    const result = await body(sessions);
    await sessions.close();
    return result;
  } finally {
    rmSync(cacheDir, { recursive: true, force: true });
  }
}

/** Waves between −1 and 1. */
export function waves(shape: readonly number[]): Tensor {
  const n = shape.reduce((a, b) => a * b, 1);
  return float32(
    shape,
    Float32Array.from({ length: n }, (_, i) => Math.sin(i * 0.7)),
  );
}

/** The largest |value| of all tensors; NaN when one is not finite. */
export function largest(tensors: Tensors): number {
  let top = 0;
  for (const t of Object.values(tensors)) {
    for (const v of t.data as Float32Array)
      top = Number.isFinite(v) ? Math.max(top, Math.abs(v)) : Number.NaN;
  }
  return top;
}
