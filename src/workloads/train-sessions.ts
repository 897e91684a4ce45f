import type { ResidentSession } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import type { Job } from '../core/workload.ts';
import type { Setup, TrainParams } from './train-setup.ts';

/** What the job's model was derived to. */
export const setupOf = (job: Job<TrainParams>): Setup => (job.built as ModelDef<Setup>).config;

/**
 * A graph of the case, as its backend wants training steps.
 * @param more options over those
 * @throws VersusError `unsupported` where the job knows only the host
 */
export async function opening<P>(
  job: Job<P>,
  graph: string,
  keep: (output: string) => boolean,
  more: Setup['open'] = {},
): Promise<ResidentSession> {
  const { open } = (job.built as ModelDef<Pick<Setup, 'open'>>).config;
  if (job.openResident) return job.openResident(graph, keep, { ...open, ...more });
  throw new VersusError('unsupported', 'training keeps its state on the device, and this job cannot', {
    where: job.model.name,
  });
}

/** What of some feeds a session takes. */
export function fedTo<T>(session: ResidentSession, feeds: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(session.inputs.map(({ name }) => [name, feeds[name]!]));
}
