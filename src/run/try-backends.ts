import type { Backend } from '../core/backend.ts';
import type { Artifact } from '../core/model.ts';
import { openArtifact } from '../weights/index.ts';
import { build, type PlacedConfig } from './job.ts';
import type { Subject } from './subject.ts';

/**
 * Which other backends open what a case's own backend refuses, found by opening it: whether a graph runs is known by nothing
 * else. Where its own backend opens all graphs after all, the complaint was not the backend's, and there is nothing to find.
 *
 * @param found called with each backend that takes every graph that the own one refuses
 */
export async function tryBackends(
  subject: Subject,
  others: readonly Backend[],
  place: PlacedConfig,
  found: (backend: string) => void,
): Promise<void> {
  const { artifacts } = await build(subject, place, () => {});
  const refused: Artifact[] = [];
  for (const artifact of Object.values(artifacts)) {
    if (!(await opens(subject.backend, artifact, subject))) refused.push(artifact);
  }
  if (refused.length === 0) return;
  for (const backend of others) {
    const answer = await backend.probe().catch(() => null);
    if (!answer?.available || !answer.precisions.includes(subject.precision)) continue;
    let all = true;
    for (const artifact of refused) all &&= await opens(backend, artifact, subject);
    if (all) found(backend.name);
  }
}

async function opens(backend: Backend, artifact: Artifact, { precision }: Subject): Promise<boolean> {
  try {
    const session = await openArtifact(backend, artifact, { precision, optimisation: 'disabled' });
    await session.close();
    return true;
  } catch {
    return false;
  }
}
