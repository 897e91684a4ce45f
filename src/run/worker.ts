/** Entry of the worker process: one task, told and reported over the IPC channel (see protocol.ts). */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { withDefaults } from '../config/defaults.ts';
import type { Availability, Backend } from '../core/backend.ts';
import type { UserConfig } from '../core/config.ts';
import { reasonOf, VersusError } from '../core/errors.ts';
import type { OpenJob, PlacedConfig } from './job.ts';
import { checkPass, memoryPass, type Pass, peakPass, referencePass, speedPass } from './passes.ts';
import type { FromWorker, Task, ToWorker, WorkerError } from './protocol.ts';
import { peakSubjects, type Subject, subjectOf } from './subject.ts';
import { tryBackends } from './try-backends.ts';

let open: OpenJob | null = null;
let go = (): void => {};
const allowed = new Promise<void>((resolve) => {
  go = resolve;
});

process.on('message', (message: ToWorker) => {
  if (message.type === 'task') void run(message.task);
  else if (message.type === 'go') go();
  else void leave();
});
// A promise that a plugin forgot, or an event handler that threw: the case has failed, and why is known.
process.on('uncaughtException', (error) => send({ type: 'error', error: portable(error) }));
// The parent is gone: nobody wants the result, and nobody would end us.
process.on('disconnect', () => process.exit(1));

function send(message: FromWorker): void {
  process.send?.(message, undefined, undefined, () => {});
}

async function run(task: Task): Promise<void> {
  try {
    const place = await load(task);
    send({ type: 'ready' });
    await allowed;
    if (task.kind === 'probe') await probe(task.backends, place);
    else if (task.kind === 'support') await support(task, place);
    else {
      const { pass, subject } = workOf(task, place);
      open = await pass(subject, place, {
        stage: (name) => send({ type: 'stage', name }),
        note: (text) => send({ type: 'note', text }),
        found: (findings) => send({ type: 'found', findings }),
        samples: (samples) => send({ type: 'samples', samples }),
      });
    }
    send({ type: 'done' });
  } catch (error) {
    send({ type: 'error', error: portable(error) });
  }
}

/** The parent has validated the config; a worker that does so again only starts later. */
async function load({ config: { path: file, code } }: Task): Promise<PlacedConfig> {
  const module = (await import(pathToFileURL(code?.config ?? file).href)) as { default: UserConfig };
  return { config: withDefaults(module.default), dir: path.dirname(file) };
}

function workOf(
  task: Extract<Task, { kind: 'peak' | 'case' }>,
  { config }: PlacedConfig,
): { pass: Pass; subject: Subject } {
  if (task.kind === 'peak') {
    const [subject, ...others] = peakSubjects(config, task.backend, task.precision);
    if (!subject) throw new VersusError('usage', 'the config names no peak');
    return { pass: peakPass(task.profile, others), subject };
  }
  const subject = subjectOf(config, task.case);
  switch (task.case.pass) {
    case 'reference':
      return { pass: referencePass(task.reference), subject };
    case 'check':
      return { pass: checkPass(task.reference, task.score), subject };
    case 'speed':
      return { pass: speedPass(task.profile), subject };
    case 'memory':
      return { pass: memoryPass, subject };
  }
}

async function probe(names: readonly string[], { config }: PlacedConfig): Promise<void> {
  for (const name of names) {
    const backend = config.backends.find((candidate) => candidate.name === name);
    if (!backend) continue;
    send({ type: 'stage', name: `probing ${name}` });
    send({ type: 'probed', backend: name, availability: await answerOf(backend) });
  }
}

async function support(task: Extract<Task, { kind: 'support' }>, place: PlacedConfig): Promise<void> {
  const others = place.config.backends.filter(({ name }) => task.backends.includes(name));
  await tryBackends(subjectOf(place.config, task.case), others, place, (backend) =>
    send({ type: 'supports', backend }),
  );
}

async function answerOf(backend: Backend): Promise<Availability> {
  try {
    return await backend.probe();
  } catch (error) {
    const reason = `the probe failed: ${reasonOf(error)}`;
    return { available: false, version: null, reason, fix: null };
  }
}

/** Closes what is open and ends; native runtimes may keep the event loop alive for ever. */
async function leave(): Promise<void> {
  try {
    await open?.activity.close();
  } finally {
    process.exit(0);
  }
}

function portable(error: unknown): WorkerError {
  const code = (error as { code?: unknown } | null)?.code;
  const known = error instanceof VersusError ? error : null;
  return {
    kind: known?.kind ?? null,
    code: typeof code === 'string' ? code : null,
    message: reasonOf(error),
    where: known?.where ?? null,
    next: known?.next ?? null,
  };
}
