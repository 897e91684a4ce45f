/* Where DaViT's tensors lie in the three layouts that checkpoints have. A layer is named by its prefix. */

export type DavitAttention = 'spatial' | 'channel';

/** A block: position convolution, norm, attention; position convolution, norm, MLP. */
export interface DavitBlockNames {
  readonly positions1: string;
  readonly norm1: string;
  readonly qkv: string;
  readonly output: string;
  readonly positions2: string;
  readonly norm2: string;
  readonly expand: string;
  readonly contract: string;
}

export interface DavitNames {
  patch(stage: number): { readonly conv: string; readonly norm: string };
  /** @param place of the block among those that alternate, 0 or 1 */
  block(stage: number, depth: number, attention: DavitAttention, place: number): DavitBlockNames;
}

export type DavitNaming = 'timm' | 'timm-named' | 'microsoft' | 'transformers';

const timm = (named: boolean): DavitNames => ({
  patch: (stage) => {
    const prefix = stage === 0 ? 'stem' : `stages.${stage}.downsample`;
    return { conv: `${prefix}.conv`, norm: `${prefix}.norm` };
  },
  block: (stage, depth, attention, place) => {
    const block = `stages.${stage}.blocks.${depth}.${named ? `${attention}_block` : place}`;
    return {
      ...{ positions1: `${block}.cpe1.proj`, norm1: `${block}.norm1` },
      ...{ qkv: `${block}.attn.qkv`, output: `${block}.attn.proj` },
      ...{ positions2: `${block}.cpe2.proj`, norm2: `${block}.norm2` },
      ...{ expand: `${block}.mlp.fc1`, contract: `${block}.mlp.fc2` },
    };
  },
});

const ATTENTION: Readonly<Record<DavitAttention, string>> = {
  spatial: 'window_attn',
  channel: 'channel_attn',
};

/** The tower of microsoft/Florence-2-*, whose modules wrap one another. */
const MICROSOFT: DavitNames = {
  patch: (stage) => ({
    conv: `vision_tower.convs.${stage}.proj`,
    norm: `vision_tower.convs.${stage}.norm`,
  }),
  block: (stage, depth, attention) => {
    const block = `vision_tower.blocks.${stage}.${depth}.${attention}_block`;
    const attend = `${block}.${ATTENTION[attention]}`;
    return {
      ...{ positions1: `${block}.conv1.fn.dw`, norm1: `${attend}.norm` },
      ...{ qkv: `${attend}.fn.qkv`, output: `${attend}.fn.proj` },
      ...{ positions2: `${block}.conv2.fn.dw`, norm2: `${block}.ffn.norm` },
      ...{ expand: `${block}.ffn.fn.net.fc1`, contract: `${block}.ffn.fn.net.fc2` },
    };
  },
};

/** The tower of transformers' own Florence2ForConditionalGeneration. */
const TRANSFORMERS: DavitNames = {
  patch: (stage) => ({
    conv: `model.vision_tower.convs.${stage}.conv`,
    norm: `model.vision_tower.convs.${stage}.norm`,
  }),
  block: (stage, depth, attention) => {
    const block = `model.vision_tower.blocks.${stage}.${depth}.${attention}_block`;
    const attend = `${block}.${ATTENTION[attention]}`;
    return {
      ...{ positions1: `${block}.conv1`, norm1: `${block}.norm1` },
      ...{ qkv: `${attend}.qkv`, output: `${attend}.proj` },
      ...{ positions2: `${block}.conv2`, norm2: `${block}.norm2` },
      ...{ expand: `${block}.ffn.fc1`, contract: `${block}.ffn.fc2` },
    };
  },
};

export const DAVIT_NAMES: Readonly<Record<DavitNaming, DavitNames>> = {
  timm: timm(false),
  'timm-named': timm(true),
  microsoft: MICROSOFT,
  transformers: TRANSFORMERS,
};
