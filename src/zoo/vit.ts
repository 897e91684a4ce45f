import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkDepths, checkDivides, checkOnly, checkPositive, checkSizes } from './check.ts';
import { type BlockNames, encoderBlock } from './encoder.ts';
import {
  type Activation,
  EMBEDDING,
  layerNorm,
  linear,
  patchEmbedding,
  repeatedToken,
  toRows,
} from './layers.ts';

/**
 * Vision transformers: an image becomes a sequence of patches behind a class token, learnt positions are added, a stack
 * of encoder blocks mixes them, and the class token is classified. DeiT adds a second token that learnt from a teacher.
 * Sources: Dosovitskiy et al., "An image is worth 16×16 words" (2020); Touvron et al., "Training data-efficient image
 * transformers and distillation through attention" (2020).
 */
export interface VitConfig {
  readonly image: readonly [height: number, width: number];
  readonly patch: readonly [height: number, width: number];
  readonly channels: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpWidth: number;
  readonly classes: number;
  readonly eps: number;
  readonly activation: Activation;
  readonly qkvBias: boolean;
  readonly patchBias: boolean;
  /** A LayerNorm between the positions and the first block, as in CLIP's towers. */
  readonly normFirst: boolean;
  /** `token`: a distillation token behind the class token; `token+head`: it has a classifier, and logits are the mean of both. */
  readonly distillation: 'none' | 'token' | 'token+head';
  /** Whose checkpoint's tensor names. */
  readonly naming: 'vit' | 'deit' | 'torchvision' | 'timm';
  /** Also put out the tokens (`last_hidden_state` before the final norm, `forward_features` behind it) and each head's logits. */
  readonly taps?: boolean;
}

/** Only DeiT's checkpoints of transformers and CLIP's of timm have these. */
const DISTILLATION_TOKEN = 'deit.embeddings.distillation_token';
const NORM_FIRST = 'norm_pre';

interface Names {
  readonly classToken: string;
  readonly positions: string;
  readonly patches: string;
  block(index: number): BlockNames;
  readonly norm: string;
  readonly head: string;
}

/**
 * `model`: pixel_values [batch, channels, H, W] → logits [batch, classes].
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildVit(config: VitConfig): Record<string, Graph> {
  check(config);
  const g = new GraphBuilder('vit');
  const names = NAMES[config.naming];
  const { width, eps, taps = false } = config;
  const image = g.input('pixel_values', 'float32', ['batch', config.channels, ...config.image]);

  const tokens = g.scope('embeddings', () => embed(g, image, config, names));
  const length = Number(tokens.shape[1]);
  let rows = toRows(g, tokens);
  for (let i = 0; i < config.depth; i++) {
    rows = g.scope(`blocks.${i}`, () =>
      encoderBlock(g, rows, names.block(i), { ...config, batch: 'batch', length, mask: null }),
    );
  }
  const hidden = g.reshape(rows, ['batch', length, width]);
  if (taps) g.output('last_hidden_state', hidden);
  g.scope('head', () => {
    // The norm looks at each token alone: without taps only the classified ones need it.
    const normed = taps ? layerNorm(g, hidden, names.norm, width, eps) : hidden;
    if (taps) g.output('forward_features', normed);
    const token = (index: number) => {
      const one = g.gather(normed, g.scalar(index, 'int64'), 1);
      return taps ? one : layerNorm(g, one, names.norm, width, eps);
    };
    classify(g, token, config, names);
  });
  return { model: g.build() };
}

/** [batch, tokens, width]: class token, distillation token, patches; plus positions. */
function embed(g: GraphBuilder, image: Value, config: VitConfig, names: Names): Value {
  const { width } = config;
  const patches = patchEmbedding(g, image, names.patches, { ...config, bias: config.patchBias });
  const special = [names.classToken, ...(config.distillation === 'none' ? [] : [DISTILLATION_TOKEN])];
  const tokens = special.map((name) => repeatedToken(g, g.param(name, [1, 1, width], EMBEDDING), width));
  const sequence = g.concat([...tokens, patches], 1);
  const positions = g.param(names.positions, [1, Number(sequence.shape[1]), width], EMBEDDING);
  const x = g.add(sequence, positions);
  return config.normFirst ? layerNorm(g, x, NORM_FIRST, width, config.eps) : x;
}

function classify(g: GraphBuilder, token: (i: number) => Value, config: VitConfig, names: Names): void {
  const shape = { from: config.width, to: config.classes };
  if (config.distillation !== 'token+head') {
    g.output('logits', linear(g, token(0), names.head, shape));
    return;
  }
  const byClass = linear(g, token(0), 'cls_classifier', shape);
  const byTeacher = linear(g, token(1), 'distillation_classifier', shape);
  if (config.taps) {
    g.output('cls_logits', byClass);
    g.output('distillation_logits', byTeacher);
  }
  g.output('logits', g.mul(g.add(byClass, byTeacher), 0.5));
}

const transformers = (prefix: string): Names => ({
  classToken: `${prefix}.embeddings.cls_token`,
  positions: `${prefix}.embeddings.position_embeddings`,
  patches: `${prefix}.embeddings.patch_embeddings.projection`,
  block: (i) => {
    const layer = `${prefix}.encoder.layer.${i}`;
    const attention = `${layer}.attention.attention`;
    return {
      norm1: `${layer}.layernorm_before`,
      project: { query: `${attention}.query`, key: `${attention}.key`, value: `${attention}.value` },
      output: `${layer}.attention.output.dense`,
      norm2: `${layer}.layernorm_after`,
      expand: `${layer}.intermediate.dense`,
      contract: `${layer}.output.dense`,
    };
  },
  norm: `${prefix}.layernorm`,
  head: 'classifier',
});

const TORCHVISION: Names = {
  classToken: 'class_token',
  positions: 'encoder.pos_embedding',
  patches: 'conv_proj',
  block: (i) => {
    const layer = `encoder.layers.encoder_layer_${i}`;
    const attention = `${layer}.self_attention`;
    return {
      norm1: `${layer}.ln_1`,
      project: { fusedWeight: `${attention}.in_proj_weight`, fusedBias: `${attention}.in_proj_bias` },
      output: `${attention}.out_proj`,
      norm2: `${layer}.ln_2`,
      expand: `${layer}.mlp.0`,
      contract: `${layer}.mlp.3`,
    };
  },
  norm: 'encoder.ln',
  head: 'heads.head',
};

const TIMM: Names = {
  classToken: 'cls_token',
  positions: 'pos_embed',
  patches: 'patch_embed.proj',
  block: (i) => ({
    norm1: `blocks.${i}.norm1`,
    project: { fusedWeight: `blocks.${i}.attn.qkv.weight`, fusedBias: `blocks.${i}.attn.qkv.bias` },
    output: `blocks.${i}.attn.proj`,
    norm2: `blocks.${i}.norm2`,
    expand: `blocks.${i}.mlp.fc1`,
    contract: `blocks.${i}.mlp.fc2`,
  }),
  norm: 'norm',
  head: 'head',
};

const NAMES: Record<VitConfig['naming'], Names> = {
  vit: transformers('vit'),
  deit: transformers('deit'),
  torchvision: TORCHVISION,
  timm: TIMM,
};

function check(config: VitConfig): void {
  const { image, patch, channels, width, depth, heads, mlpWidth, classes, eps } = config;
  checkDepths('vit', { depth });
  checkSizes('vit', {
    ...{ channels, width, heads, mlpWidth, classes },
    ...{ 'image[0]': image[0], 'image[1]': image[1], 'patch[0]': patch[0], 'patch[1]': patch[1] },
  });
  checkDivides('vit', ['heads', heads], ['width', width]);
  checkSizes('vit', { 'floor(image[0] / patch[0])': Math.floor(image[0] / patch[0]) });
  checkSizes('vit', { 'floor(image[1] / patch[1])': Math.floor(image[1] / patch[1]) });
  checkPositive('vit', { eps });
  if (config.distillation !== 'none') checkOnly('vit', ['distillation', 'naming'], config.naming, 'deit');
  if (config.normFirst) checkOnly('vit', ['normFirst', 'naming'], config.naming, 'timm');
}
