import { type Backend, type OpenOptions, PRECISIONS, type Session } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { Artifact } from '../core/model.ts';
import { readParam } from '../core/read-param.ts';
import type { Tensors } from '../core/tensor.ts';
import { throughHost } from '../core/through-host.ts';
import { checkSupported, interpret } from '../graph/interpret.ts';
import { foldIfs } from '../transform/fold-if.ts';
import { cpuDevice } from './cpu-device.ts';
import { checkFeeds, checkFetch } from './feeds.ts';

/**
 * The graph interpreter in plain TypeScript: slow, and exact enough (float64 sums) to be the oracle of the other backends. It has no
 * options: threads, optimisation and arena mean nothing to it.
 */
export const reference: Backend = {
  name: 'reference',
  oracle: true,
  probe: async () => ({
    available: true,
    version: `node ${process.versions.node}`,
    device: cpuDevice(),
    precisions: PRECISIONS,
  }),
  open: openReference,
  openResident: async (artifact, options, keep) =>
    throughHost(await openReference(artifact, options), 'reference', keep, true),
};

async function openReference(artifact: Artifact, options: OpenOptions): Promise<Session> {
  const where = `${artifact.model}/${artifact.graphName} (${artifact.path})`;
  const graph = foldIfs(await artifact.graph());
  checkSupported(graph);
  let params: Tensors | null = await readParams(artifact, graph);
  const moved = { to_device: 0, to_host: 0 };
  const everyOutput = graph.outputs.map((output) => output.name);
  return {
    inputs: graph.inputs,
    outputs: graph.outputs,
    options: { precision: options.precision },
    async run(feeds: Tensors, fetch?: readonly string[]) {
      if (params === null) throw new VersusError('infrastructure', 'the session is closed', { where });
      checkFeeds(where, graph.inputs, feeds);
      if (fetch !== undefined) checkFetch(where, graph.outputs, fetch);
      const outputs = interpret(graph, params, feeds, fetch ?? everyOutput);
      moved.to_device += bytesOf(feeds);
      moved.to_host += bytesOf(outputs);
      return outputs;
    },
    traffic: () => ({ ...moved, resident: 0 }),
    placement: async () => ({
      nodes: { reference: graph.nodes.length },
      share: 1,
      method: 'single',
      strays: [],
    }),
    async close() {
      params = null;
    },
  };
}

const bytesOf = (tensors: Tensors): number =>
  Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);

async function readParams(artifact: Artifact, graph: Graph): Promise<Tensors> {
  const params: Tensors = {};
  const absent = graph.params.filter((param) => {
    if (param.data) params[param.name] = { dtype: param.dtype, shape: param.shape, data: param.data };
    return !param.data;
  });
  if (absent.length === 0) return params;
  const source = await artifact.weights();
  try {
    for (const param of absent) params[param.name] = await readParam(source, param);
  } finally {
    await source.close();
  }
  return params;
}
