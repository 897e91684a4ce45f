import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import { buildDavit, type DavitConfig, type DavitStage, davitGrid } from '../davit.ts';
import {
  activation,
  depth,
  mustDivide,
  positive,
  readConfig,
  sides,
  size,
  unsupported,
  wrong,
} from './fields.ts';
import type { CheckpointOptions } from './index.ts';

/* timm's DaVit (`timm/models/davit.py`), whose defaults are davit_tiny's. */

const stages = <T extends z.ZodType>(item: T) => z.array(item).min(1).max(64);

const schema = z.looseObject({
  img_size: sides.default([224, 224]),
  in_chans: size.default(3),
  depths: stages(depth).default([1, 1, 3, 1]),
  embed_dims: stages(size).default([96, 192, 384, 768]),
  num_heads: stages(size).default([3, 6, 12, 24]),
  window_size: size.default(7),
  mlp_ratio: positive.default(4),
  qkv_bias: z.boolean().default(true),
  norm_eps: positive.default(1e-5),
  act_layer: activation.default('gelu'),
  attn_types: z
    .array(z.enum(['spatial', 'channel']))
    .min(1)
    .max(16)
    .default(['spatial', 'channel']),
  ffn: z.boolean().default(true),
  cpe_act: z.boolean().default(false),
  down_kernel_size: size.default(2),
  channel_attn_v2: z.boolean().default(false),
  named_blocks: z.boolean().default(false),
  num_classes: size.default(1000),
  // What else the class can be; each changes the graph.
  head_norm_first: z.literal(false).default(false),
  global_pool: z.literal('avg').default('avg'),
});

type Read = z.infer<typeof schema>;

/** timm's DaVit. No weight depends on the size of the images. */
export function timmDavit(config: unknown, options: CheckpointOptions): ModelDef<DavitConfig> {
  const c = readConfig(schema, config, 'davit');
  const lengths = { depths: c.depths.length, num_heads: c.num_heads.length };
  mustHaveStages(lengths, ['embed_dims', c.embed_dims.length], 'davit');
  if (c.named_blocks && new Set(c.attn_types).size < c.attn_types.length) {
    throw unsupported('attn_types', c.attn_types, 'each kind once where named_blocks is true');
  }
  const model: DavitConfig = {
    ...{ image: options.image ?? c.img_size, channels: c.in_chans, stages: c.embed_dims.map(stageOf(c)) },
    ...{ attentions: c.attn_types, window: c.window_size, eps: c.norm_eps, activation: c.act_layer },
    channelForm: c.channel_attn_v2 ? 'query-key-pixels' : 'key-value',
    ...{ qkvBias: c.qkv_bias, positionActivation: c.cpe_act },
    ...{ naming: c.named_blocks ? 'timm-named' : 'timm', classes: c.num_classes },
    taps: options.taps ?? false,
  };
  mustLeaveGrid(model, 'img_size', 'davit');
  return { ...{ name: 'davit', family: 'davit', task: 'classify', build: buildDavit }, config: model };
}

/** The stem takes 7 × 7 pixels every 4, later stages down_kernel_size every 2; an even kernel fills the grid up to its multiple. */
function stageOf(c: Read) {
  return (width: number, i: number): DavitStage => {
    const heads = c.num_heads[i]!;
    mustDivide([`num_heads.${i}`, heads], [`embed_dims.${i}`, width], 'davit');
    const kernel = c.down_kernel_size;
    const even = kernel % 2 === 0;
    const patch =
      i === 0
        ? { kernel: 7, stride: 4, pad: 3, fill: 4, normFirst: false }
        : { kernel, stride: 2, pad: even ? 0 : (kernel - 1) / 2, fill: even ? kernel : 1, normFirst: true };
    const mlpWidth = c.ffn ? mlpWidthOf(width, c.mlp_ratio, 'davit') : null;
    return { ...{ width, depth: c.depths[i]!, heads, groups: heads, mlpWidth }, patch };
  };
}

/** @throws VersusError `input` when the ratio makes an MLP of no width, or an endless one */
export function mlpWidthOf(width: number, ratio: number, where: string): number {
  const mlpWidth = Math.floor(width * ratio);
  if (size.safeParse(mlpWidth).success) return mlpWidth;
  throw wrong('mlp_ratio', `makes the MLP ${mlpWidth} wide`, where);
}

/** @throws VersusError `input` naming the first list that hasn't an entry per stage */
export function mustHaveStages(
  lengths: Readonly<Record<string, number>>,
  [of, count]: readonly [field: string, length: number],
  where: string,
): void {
  for (const [field, length] of Object.entries(lengths)) {
    if (length !== count) throw wrong(field, `has ${length} stages, ${of} ${count}`, where);
  }
}

/** @throws VersusError `input` when the image vanishes on its way through the stages */
export function mustLeaveGrid(
  tower: Pick<DavitConfig, 'image' | 'stages'>,
  field: string,
  where: string,
): void {
  tower.stages.forEach((_, i) => {
    const { height, width } = davitGrid({ ...tower, stages: tower.stages.slice(0, i + 1) });
    if (Math.min(height, width) >= 1) return;
    throw wrong(field, `${tower.image.join(' × ')} leaves nothing of the image at stage ${i}`, where);
  });
}
