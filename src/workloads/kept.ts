import type { Feeds, Resident, ResidentSession } from '../core/backend.ts';
import type { Tensor } from '../core/tensor.ts';
import { isTensor, throughHost } from '../core/through-host.ts';
import type { Job } from '../core/workload.ts';

const PRESENT = 'present.';

/** Opens a graph whose `present.*` outputs, the keys and values of a cache, stay on the device where the backend can. */
export async function openCached(job: Job<unknown>, graphName: string): Promise<ResidentSession> {
  const keep = (output: string) => output.startsWith(PRESENT);
  if (job.openResident) return job.openResident(graphName, keep);
  const session = await job.open(graphName);
  const kept = session.outputs.map(({ name }) => name).filter(keep);
  return throughHost(session, `the backend of ${job.model.name}`, kept, false);
}

/** Frees what a cache held and the next one does not. */
export function release(before: Feeds, next: Feeds = {}): void {
  const still = new Set<Tensor | Resident>(Object.values(next));
  for (const value of Object.values(before)) if (!isTensor(value) && !still.has(value)) value.dispose();
}
