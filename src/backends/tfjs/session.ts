import type { OpenOptions, Placement, Session } from '../../core/backend.ts';
import { VersusError } from '../../core/errors.ts';
import type { Artifact } from '../../core/model.ts';
import type { Tensors } from '../../core/tensor.ts';
import { checkFeeds, checkFetch } from '../feeds.ts';
import { type EngineName, loadEngine, using } from './engine.ts';
import { Executor } from './executor.ts';
import { prepared } from './prepare.ts';
import { checkSupported } from './support.ts';

/**
 * Reads an artifact's graph, prepares it for the engine and puts its weights there.
 * @throws VersusError `unsupported` (operator or precision, with the node), `input` (not a valid model) or `infrastructure`
 */
export async function openSession(name: EngineName, artifact: Artifact, open: OpenOptions): Promise<Session> {
  const where = `${artifact.model}/${artifact.graphName} (${artifact.path})`;
  if (open.precision !== 'fp32') {
    throw new VersusError('unsupported', `tfjs-${name} computes in fp32 only, not in ${open.precision}`, {
      where,
      next: 'run it on onnxruntime, or with --precision fp32',
    });
  }
  const graph = await artifact.graph();
  checkSupported(graph, name, where);
  const engine = await loadEngine(name);
  const executor = await using(engine, async () => {
    const ready = await prepared(graph, artifact, open.optimisation ?? 'all');
    try {
      checkSupported(ready.graph, name, where);
      return await Executor.load(ready.graph, ready.numbers, engine);
    } finally {
      await ready.close();
    }
  });
  const everyOutput = graph.outputs.map((output) => output.name);
  let closed = false;
  let ran = false;
  return {
    inputs: graph.inputs,
    outputs: graph.outputs,
    options: {
      engine: name,
      precision: open.precision,
      optimisation: open.optimisation ?? 'all',
      threads: name === 'wasm' || name === 'cpu' ? 1 : null,
    },
    async run(feeds: Tensors, fetch?: readonly string[]) {
      if (closed) throw new VersusError('infrastructure', 'the session is closed', { where });
      checkFeeds(where, graph.inputs, feeds);
      if (fetch !== undefined) checkFetch(where, graph.outputs, fetch);
      const results = await using(engine, () => executor.run(feeds, fetch ?? everyOutput));
      ran = true;
      return results;
    },
    placement: async (): Promise<Placement | null> => (ran ? executor.placement() : null),
    async close() {
      if (closed) return;
      closed = true;
      await using(engine, async () => executor.close());
    },
  };
}
