import type { Backend, OpenOptions, ResidentSession } from '../core/backend.ts';
import type { Artifact } from '../core/model.ts';
import { throughHost } from '../core/through-host.ts';
import { derivation } from './exported-session.ts';

/**
 * As `openArtifact`, with the outputs that `keep` picks staying on the device. On a backend that keeps nothing they go through
 * the host, and the session's traffic says so.
 */
export async function openArtifactResident(
  backend: Backend,
  artifact: Artifact,
  options: OpenOptions,
  keep: (output: string) => boolean,
): Promise<ResidentSession> {
  const kept = (await artifact.graph()).outputs.map(({ name }) => name).filter(keep);
  const session = backend.openResident
    ? await backend.openResident(artifact, options, kept)
    : await throughHost(await backend.open(artifact, options), backend.name, kept, false);
  if (!artifact.foreign) return session;
  const { own, complete } = derivation(session.inputs, artifact.graphName);
  return { ...session, inputs: own, run: (feeds, ...rest) => session.run(complete(feeds), ...rest) };
}
