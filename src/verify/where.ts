/** Bisection of whole models: which of their graphs, and on which inputs. */
import type { Backend } from '../core/backend.ts';
import type { Artifact, ModelDef } from '../core/model.ts';
import type { Tensors } from '../core/tensor.ts';
import { type Bisection, type BisectOptions, bisect } from './bisect.ts';
import { drawInputs } from './draw.ts';
import { verifyFolder } from './index.ts';
import { artifactsOf, type ModelOptions, plain, structureOf } from './model.ts';

/**
 * Every graph of a model on the seeded inputs that `verifyModel` uses; both backends run the graph of one precision, so what
 * float16 itself costs is no difference here.
 * @returns one per graph, in order of their names
 */
export async function bisectModel(
  model: ModelDef,
  backend: Backend,
  reference: Backend,
  options: ModelOptions,
): Promise<Bisection[]> {
  const artifacts = await artifactsOf(model, options.precision, options);
  const found: Bisection[] = [];
  for (const name of Object.keys(artifacts).sort()) {
    const artifact = artifacts[name]!;
    const { feeds } = drawInputs(name, await structureOf(artifact), model, options);
    found.push(await bisect(artifact, feeds, backend, reference, options));
  }
  return found;
}

/**
 * Every call that the recorded inputs of a folder lead to (of a decoder: prompt and steps), until one differs.
 * @returns one per graph that was called: where it differs, else that it agrees
 */
export async function bisectFolder(
  dir: string,
  backend: Backend,
  reference: Backend,
  options: BisectOptions & { readonly maxBytes: number },
): Promise<Bisection[]> {
  const calls: Call[] = [];
  await verifyFolder(dir, recording(reference, calls), { ...options, open: plain('fp32') });
  const found = new Map<string, Bisection>();
  for (const { artifact, feeds } of calls) {
    const name = artifact.graphName;
    const before = found.get(name);
    if (before && before.outcome !== 'agrees') continue;
    found.set(name, await bisect(artifact, feeds, backend, reference, options));
  }
  return [...found.values()];
}

interface Call {
  readonly artifact: Artifact;
  readonly feeds: Tensors;
}

/** A backend that remembers what its sessions were fed. */
function recording(backend: Backend, calls: Call[]): Backend {
  return {
    ...backend,
    async open(artifact, options) {
      const session = await backend.open(artifact, options);
      return {
        ...{ inputs: session.inputs, outputs: session.outputs, options: session.options },
        placement: () => session.placement(),
        close: () => session.close(),
        run(feeds, fetch) {
          calls.push({ artifact, feeds });
          return session.run(feeds, fetch);
        },
      };
    },
  };
}
