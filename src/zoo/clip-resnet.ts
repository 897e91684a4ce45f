import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { attendOnce } from './attention-pool.ts';
import { checkDepths, checkDivides, checkSizes } from './check.ts';
import { INITIAL_SCALE } from './clip.ts';
import { type ClipText, checkClipText, clipTextTower } from './clip-text.ts';
import { batchNorm, conv, linear, toRows } from './layers.ts';
import { similarityGraph, unitLength } from './towers.ts';

/**
 * CLIP with a residual network for a vision tower. It differs from ResNet in three places: a stem of three convolutions,
 * average pooling before every stride so that nothing aliases, and attention in place of the last pooling. Sources:
 * Radford et al. (2021), section 2.4; He et al. 2019 ("Bag of tricks", ResNet-D); Zhang 2019 ("Making convolutional
 * networks shift-invariant again"). Names and details as in OpenAI's CLIP/clip/model.py and open_clip's
 * modified_resnet.py, which are alike.
 */
export interface ClipResNetVision {
  /** Height and width of the images, multiples of 32. */
  readonly image: readonly [height: number, width: number];
  readonly channels: number;
  /** Of the stem, even; the last feature map has 32 times as many channels. */
  readonly width: number;
  /** Blocks of the four stages. */
  readonly depths: readonly [number, number, number, number];
  /** Of the attention that pools the feature map. */
  readonly heads: number;
}
export interface ClipResNetConfig {
  readonly vision: ClipResNetVision;
  readonly text: ClipText;
  /** Width of the common space. */
  readonly projection: number;
  /** Also put out what lies before the normalisation. */
  readonly taps?: boolean;
}

/** Channels of the last feature map by channels of the stem; as many pixels lie along an edge for one of it. */
const REDUCTION = 32;
const EPS = 1e-5;

/**
 * The graphs of `buildClip`, with attention_mask and all: `vision`, `text`, `similarity`.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildClipResNet(config: ClipResNetConfig): Record<string, Graph> {
  const { text, projection, taps = false } = config;
  checkVision(config.vision);
  checkClipText('clip-resnet', text);
  checkSizes('clip-resnet', { projection });
  const g = new GraphBuilder('clip-resnet.text');
  clipTextTower(g, text, { naming: 'openai', projection, taps });
  return {
    vision: visionGraph(config),
    text: g.build(),
    similarity: similarityGraph('clip-resnet.similarity', {
      ...{ projection, scalar: [], scale: INITIAL_SCALE, bias: null, taps },
    }),
  };
}

function visionGraph({ vision, projection, taps }: ClipResNetConfig): Graph {
  const g = new GraphBuilder('clip-resnet.vision');
  const image = g.input('pixel_values', 'float32', ['batch', vision.channels, ...vision.image]);
  let x = g.scope('stem', () => stem(g, image, vision));
  let from = vision.width;
  vision.depths.forEach((depth, stage) => {
    const inner = vision.width * 2 ** stage;
    for (let block = 0; block < depth; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      x = g.scope(`stages.${stage}.blocks.${block}`, () =>
        bottleneck(g, x, `visual.layer${stage + 1}.${block}`, { from, inner, stride }),
      );
      from = 4 * inner;
    }
  });
  if (taps) g.output('vision_last_feature_map', x);
  const features = g.scope('attnpool', () => attentionPool(g, x, vision, projection));
  if (taps) g.output('image_features', features);
  g.output('image_embeds', unitLength(g, features));
  return g.build();
}

function stem(g: GraphBuilder, image: Value, { channels, width }: ClipResNetVision): Value {
  const half = width / 2;
  let x = convNorm(g, image, 'visual', 1, { from: channels, to: half, kernel: 3, stride: 2 });
  x = convNorm(g, g.relu(x), 'visual', 2, { from: half, to: half, kernel: 3 });
  x = convNorm(g, g.relu(x), 'visual', 3, { from: half, to: width, kernel: 3 });
  return blur(g, g.relu(x), 2);
}

interface Block {
  readonly from: number;
  readonly inner: number;
  readonly stride: number;
}

/** relu(x + f(x)); every convolution has stride 1, and both paths are averaged down before their last one. */
function bottleneck(g: GraphBuilder, x: Value, name: string, { from, inner, stride }: Block): Value {
  const to = 4 * inner;
  let branch = convNorm(g, x, name, 1, { from, to: inner, kernel: 1 });
  branch = convNorm(g, g.relu(branch), name, 2, { from: inner, to: inner, kernel: 3 });
  branch = blur(g, g.relu(branch), stride);
  // A branch that adds little keeps seeded activations of many blocks within the range of float16.
  branch = convNorm(g, branch, name, 3, { from: inner, to, kernel: 1, gain: 0.25 });
  if (stride === 1 && from === to) return g.relu(g.add(branch, x));
  const shape = { from, to, kernel: [1, 1], stride: [1, 1], bias: false } as const;
  const shortcut = conv(g, blur(g, x, stride), `${name}.downsample.0`, shape);
  return g.relu(g.add(branch, batchNorm(g, shortcut, `${name}.downsample.1`, to, EPS)));
}

/** The average over windows that don't overlap. */
function blur(g: GraphBuilder, x: Value, stride: number): Value {
  return stride === 1 ? x : g.averagePool(x, [stride, stride], { strides: [stride, stride] });
}

interface ConvShape {
  readonly from: number;
  readonly to: number;
  readonly kernel: 1 | 3;
  readonly stride?: number;
  readonly gain?: number;
}

/** `<name>.conv<i>` without bias, which keeps the size up to its stride, and `<name>.bn<i>`. */
function convNorm(g: GraphBuilder, x: Value, name: string, i: number, shape: ConvShape): Value {
  const { from, to, kernel, stride = 1, gain = 1 } = shape;
  const y = conv(g, x, `${name}.conv${i}`, {
    ...{ from, to, kernel: [kernel, kernel], stride: [stride, stride], pad: (kernel - 1) / 2 },
    ...{ bias: false, gain },
  });
  return batchNorm(g, y, `${name}.bn${i}`, to, EPS);
}

/**
 * The mean of the feature map asks mean and map: [batch, channels, H, W] → [batch, projection]. The reference lets every
 * place ask and keeps the first answer; the others are not computed here.
 */
function attentionPool(g: GraphBuilder, map: Value, vision: ClipResNetVision, projection: number): Value {
  const name = 'visual.attnpool';
  const [height, width] = vision.image.map((edge) => edge / REDUCTION) as [number, number];
  const length = 1 + height * width;
  const channels = REDUCTION * vision.width;
  const places = g.transpose(g.reshape(map, ['batch', channels, height * width]), [0, 2, 1]);
  const tokens = g.concat([g.reduceMean(places, [1]), places], 1);
  const std = 1 / Math.sqrt(channels);
  const positions = g.param(`${name}.positional_embedding`, [length, channels], { kind: 'uniform', std });
  const x = g.add(tokens, positions);
  const square = { from: channels, to: channels };
  const query = linear(g, g.gather(x, g.scalar(0, 'int64'), 1), `${name}.q_proj`, square);
  const keys = linear(g, toRows(g, x), `${name}.k_proj`, square);
  const values = linear(g, toRows(g, x), `${name}.v_proj`, square);
  const shape = { batch: 'batch', length, width: channels, heads: vision.heads };
  const mixed = attendOnce(g, query, keys, values, shape);
  return linear(g, mixed, `${name}.c_proj`, { from: channels, to: projection });
}

function checkVision({ image, channels, width, depths, heads }: ClipResNetVision): void {
  const where = 'clip-resnet, vision tower';
  const counts: Record<string, number> = {};
  for (let stage = 0; stage < 4; stage++) counts[`depths[${stage}]`] = depths[stage] ?? Number.NaN;
  checkDepths(where, { ...counts, 'depths.length - 3': depths.length - 3 });
  checkSizes(where, { 'depths.length - 3': depths.length - 3 }, 1);
  checkSizes(where, { channels, heads, 'width / 2': width / 2 });
  checkSizes(where, { 'image[0] / 32': image[0] / REDUCTION, 'image[1] / 32': image[1] / REDUCTION });
  checkDivides(where, ['heads', heads], ['32 · width', REDUCTION * width]);
}
