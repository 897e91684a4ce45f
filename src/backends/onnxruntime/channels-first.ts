import type { Graph } from '../../core/graph.ts';
import type { Artifact } from '../../core/model.ts';
import type { ProviderOptions } from './options.ts';

/**
 * Options for webgpu with which an artifact's convolutions come out right. With channels last, its own choice, the provider (1.30)
 * reads images three channels at a time where 3 divides their number and 4 does not, and then sums wrong beyond the first three
 * if 4 divides the number of filters. Such graphs are computed with channels first, unless the user has said which.
 */
export async function withRightLayout(
  options: ProviderOptions,
  artifact: Artifact,
): Promise<ProviderOptions> {
  if (options.provider && 'preferredLayout' in options.provider) return options;
  // A graph that cannot be read is told by who opens it.
  const graph = await artifact.graph().catch(() => null);
  if (!graph || !needsChannelsFirst(graph)) return options;
  return { ...options, provider: { ...options.provider, preferredLayout: 'NCHW' } };
}

function needsChannelsFirst({ nodes, params, inputs }: Graph): boolean {
  const shapes = new Map([...params, ...inputs].map(({ name, shape }) => [name, shape] as const));
  return nodes.some(({ op, inputs: [, weight = ''] }) => {
    const [filters, channels, ...kernel] = (op === 'Conv' && shapes.get(weight)) || [];
    const by = (size: unknown, n: number): boolean => typeof size === 'number' && size % n === 0;
    return (
      channels !== 3 &&
      by(channels, 3) &&
      !by(channels, 4) &&
      by(filters, 4) &&
      kernel.some((side) => side !== 1)
    );
  });
}
