import type { Opened } from '../core/backend.ts';
import type { Param } from '../core/graph.ts';
import type { Facts } from '../core/record.ts';
import { bytesPerElement, elementCount } from '../core/tensor.ts';
import type { Built, OpenJob } from './job.ts';
import type { Subject } from './subject.ts';

/** Where the numbers of a model come from, before anything is opened on a backend. */
export async function originOf(built: Built): Promise<{ weights: string | null; trained: boolean }> {
  const [artifact] = Object.values(built.artifacts);
  if (!artifact) return { weights: null, trained: false };
  const source = await artifact.weights();
  try {
    return { weights: source.label, trained: source.trained };
  } finally {
    await source.close();
  }
}

/**
 * What is exactly known of a case's model: learnt parameters and bytes of weights (a tensor that several graphs share is
 * counted once), nodes over all graphs, and the multiply–accumulates of one repetition.
 */
export async function factsOf(
  subject: Subject,
  built: Built,
  origin: { readonly weights: string | null; readonly trained: boolean },
  { activity, sessions }: Pick<OpenJob, 'activity' | 'sessions'>,
): Promise<Facts> {
  const { model, workload, params, batch } = subject;
  const source = Object.values(await model.build(model.config));
  const stored = await Promise.all(Object.values(built.artifacts).map((artifact) => artifact.graph()));
  const { macs, nodes, weight_bytes, ...told } = activity.facts?.() ?? {};
  const learnt = distinct(source.flatMap((graph) => graph.params)).filter((p) => p.role === 'weight');
  return {
    parameters: sum(learnt.map((p) => elementCount(p.shape))),
    macs: macs ?? (await workload.macs?.(params, batch, model)) ?? null,
    nodes: nodes ?? sum(stored.map((graph) => graph.nodes.length)),
    weight_bytes:
      weight_bytes ??
      sum(
        distinct(stored.flatMap((graph) => graph.params)).map(
          (p) => elementCount(p.shape) * bytesPerElement(p.dtype),
        ),
      ),
    ...origin,
    image_size: imageSize(subject, sessions),
    ...(Object.keys(told).length > 0 && { told }),
  };
}

function distinct(params: readonly Param[]): Param[] {
  return [...new Map(params.map((param) => [param.name, param])).values()];
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Height of the images [batch, 3, height, width] that the sessions, or their features, take; null where they take none. */
function imageSize({ model }: Subject, sessions: readonly Opened[]): number | null {
  if (model.features) return model.features.height;
  for (const { shape } of sessions.flatMap((session) => session.inputs)) {
    if (shape.length !== 4 || shape[1] !== 3) continue;
    const height = shape[2]!;
    if (typeof height === 'number') return height;
    const { crop, resize } = model.preprocess ?? {};
    return model.dims?.[height] ?? crop?.height ?? (resize && 'height' in resize ? resize.height : null);
  }
  return null;
}
