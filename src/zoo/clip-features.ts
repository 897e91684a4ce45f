import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkSizes } from './check.ts';
import { type ClipVision, clipVisionEncoder, clipVisionPooling } from './clip.ts';

/* CLIP's vision tower as the eye of a language model, which reads one of its inner layers. */

/** How many layers lie before a hidden state: 0 is the embeddings, negative ones count from the last, -1. */
export function layersRead(vision: ClipVision, featureLayer: number): number {
  return featureLayer < 0 ? vision.depth + 1 + featureLayer : featureLayer;
}

/** @throws VersusError `usage` when the tower has no such hidden state. */
export function checkFeatureLayer(model: string, vision: ClipVision, featureLayer: number): void {
  checkSizes(model, { 'featureLayer + 1': layersRead(vision, featureLayer) + 1 }, vision.depth + 1);
}

/** A hidden state [batch, 1 + patches, width] without the class token, which comes first. */
export function withoutClassToken(g: GraphBuilder, hidden: Value): Value {
  return g.slice(hidden, [1], [Number.POSITIVE_INFINITY], [1]);
}

/**
 * The checkpoint holds, and its published count counts, the tower's last layers and final norm, which nothing reads. They
 * are parameters of the graph without a node, so that counts are equal and weights load whole.
 * @param prefix of the tower's parameter names
 */
export function withUnreadLayers(graph: Graph, vision: ClipVision, prefix: string): Graph {
  const tower = new GraphBuilder('tower');
  const image = tower.input('pixel_values', 'float32', ['batch', vision.channels, ...vision.image]);
  const hidden = clipVisionEncoder(tower, image, vision, prefix, vision.depth);
  tower.output('pooled', clipVisionPooling(tower, hidden, vision, prefix));
  const read = new Set(graph.params.map((p) => p.name));
  const unread = tower.build().params.filter((p) => p.role !== 'constant' && !read.has(p.name));
  return { ...graph, params: [...graph.params, ...unread] };
}
